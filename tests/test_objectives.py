"""Objectives for gradient boosting: which losses fit, their derivatives, and training beside the
libraries' own objectives on real tables."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

import codegen
import derive
from codegen.cli import main
from codegen.objectives import OBJECTIVES, fits
from derive.errors import KernelError

FITTING = [name for name in derive.library() if fits(derive.load(name))]
SMOOTH = ("softmax_cross_entropy", "sigmoid_cross_entropy", "focal", "poisson", "tweedie")
ROUNDS = 5


@cache
def made(name: str, target: str, hessian: str | None = None) -> Any:
    return codegen.objective(derive.load(name), target, hessian=hessian)


def rows(f: Any, count: int = 40) -> tuple[Any, Any]:
    """Scores and targets that a loss may be given."""
    functions = f.functions
    _, y, scores = functions["_example"]()
    return scores[:count], y[:count]


# -- which losses fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in derive.library() if n not in FITTING])
def test_what_does_not_fit_says_why(name: str) -> None:
    with pytest.raises(KernelError, match=rf"^{name}"):
        codegen.objective(derive.load(name))


def test_a_linear_head_is_cut_at_its_scores() -> None:
    with pytest.raises(KernelError, match=r"--wrt a$"):
        codegen.objective(derive.load("linear_softmax_cross_entropy"))
    f = codegen.objective(derive.load("linear_softmax_cross_entropy"), wrt="a")
    scores, y = rows(f)
    plain = made("softmax_cross_entropy", "xgboost")
    for mine, theirs in zip(f(scores, y), plain(scores, y), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", FITTING)
@pytest.mark.parametrize("target", OBJECTIVES)
def test_self_checks_hold(name: str, target: str) -> None:
    """What `python FILE` checks before it trains: differences, bounds, signs, initial score."""
    if target == "hist_gradient_boosting":
        pytest.importorskip("sklearn")
    for what, errors, most in made(name, target).functions["_checks"]():
        assert np.quantile(errors, 0.99) <= most, what


@pytest.mark.parametrize("name", FITTING)
def test_loss_and_gradient_are_those_of_the_kernel(name: str) -> None:
    loss, f = derive.load(name), made(name, "xgboost")
    labels = "index" if any(d.domain.kind == "simplex" for d in loss.declarations) else "dense"
    kernel = codegen.build(loss, labels=labels)
    scores, y = rows(f)
    (score,) = kernel.wrt
    target = next(d for d in loss.declarations if d.role == "target")
    given = y.astype(int) if f.kernel.inputs[1].tensor.label else np.asarray(y, float)
    consts = {d.name: float(d.default) for d in loss.declarations if d.role == "const"}
    losses, slopes = kernel(**{score: scores, target.name: given, **consts})
    mine, slope, _ = f(scores, y)
    np.testing.assert_allclose(mine, losses, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(slope, slopes[score], rtol=1e-12, atol=1e-300)


# -- policies -----------------------------------------------------------------------------------


def test_default_policies() -> None:
    chosen = {
        ("softmax_cross_entropy", "xgboost"): "diagonal-bound",
        ("softmax_cross_entropy", "lightgbm"): "friedman",
        ("softmax_cross_entropy", "catboost"): "exact",
        ("sigmoid_cross_entropy", "xgboost"): "exact",
        ("log_cosh", "lightgbm"): "majorizer",
        ("huber", "catboost"): "majorizer",
        ("quantile", "xgboost"): "one",
        ("focal", "lightgbm"): "floor:0.001",
        ("tweedie", "lightgbm"): "fisher",
    }
    assert {key: made(*key).policy.name for key in chosen} == chosen
    for (name, target), policy in chosen.items():
        assert made(name, target).functions["POLICY"] == policy
        assert f"Hessian policy: {policy}" in made(name, target).source


def test_fisher_is_the_expected_hessian() -> None:
    """Against the sum over both classes, and over the classes of a loss written with a label."""
    z = np.linspace(-3, 3, 7)
    p = 1 / (1 + np.exp(-z))
    second = made("sigmoid_mse", "xgboost", "exact")
    mean = p * second(z, np.ones(7))[2] + (1 - p) * second(z, np.zeros(7))[2]
    fisher = made("sigmoid_mse", "xgboost", "fisher")(z, np.ones(7))[2]
    np.testing.assert_allclose(fisher, mean, rtol=1e-12)
    text = (
        "a: input[K]\nt: target in K\np[i] = exp(a[i]) / sum(exp(a[k]) for k in K)\nL = -log(p[t])"
    )
    f = codegen.objective(derive.parse(text), hessian="fisher")
    a = np.random.default_rng(0).normal(size=(5, 3))
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(f(a, np.zeros(5))[2], p * (1 - p), rtol=1e-12)


def test_focal_hessian_is_negative_where_it_is_known_to_be() -> None:
    """At gamma = 2 the second derivative of binary focal changes sign at p = 0.0578."""
    f = made("binary_focal", "xgboost", "exact")
    p = np.array([0.0577, 0.0579])
    bend = f(np.log(p / (1 - p)), np.ones(2))[2]
    assert bend[0] < 0 < bend[1]
    floored = made("binary_focal", "xgboost", "floor:0.25")(np.log(p / (1 - p)), np.ones(2))[2]
    np.testing.assert_array_equal(floored, 0.25)


def test_majorizer_of_log_cosh_is_tanh_over_r() -> None:
    r = np.array([-800.0, -1.0, -1e-9, 0.0, 1e-200, 0.5, 30.0])
    found = made("log_cosh", "lightgbm")(r, np.zeros(7))[2]
    expected = np.where(r == 0, 1.0, np.tanh(r) / np.where(r == 0, 1, r))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "policy", "words"),
    [
        ("focal", "fisher", "can have exact"),
        ("quantile", "exact", "0 everywhere"),
        ("log_cosh", "diagonal-bound", "one score"),
        ("softmax_cross_entropy", "majorizer", "even function"),
        ("focal", "diagonal-bound", "can have"),
        ("log_cosh", "newton", "no policy 'newton'"),
        ("log_cosh", "floor:-1", "EPS > 0"),
        ("log_cosh", "floor:1/0", "EPS > 0"),
    ],
)
def test_a_policy_that_a_loss_cannot_have(name: str, policy: str, words: str) -> None:
    with pytest.raises(KernelError, match=words):
        codegen.objective(derive.load(name), hessian=policy)


# -- what the libraries hand over ---------------------------------------------------------------


def test_labels_are_checked_and_the_row_is_named() -> None:
    f = made("focal", "xgboost").objective
    scores = np.zeros((3, 4))
    with pytest.raises(ValueError, match=r"row 1 holds 4, expected a class, 0 <= y < 4"):
        f.derivatives(scores, [0.0, 4.0, 1.0])
    with pytest.raises(ValueError, match=r"row 2 holds 0.5"):
        f.derivatives(scores, [0.0, 3.0, 0.5])
    with pytest.raises(ValueError, match=r"row 0 holds nan"):
        f.derivatives(scores, [np.nan, 3.0, 1.0])
    with pytest.raises(ValueError, match=r"expected shape \(N, K\)"):
        f.derivatives(np.zeros(3), [0, 1, 2])
    hinge = made("hinge", "lightgbm").objective
    for low in (0.0, -1.0):
        np.testing.assert_array_equal(hinge.derivatives([2.0, -2.0], [1.0, low])[0], [0, 0])
    with pytest.raises(ValueError, match=r"row 0 holds -1, expected a number >= 0"):
        made("poisson", "xgboost").objective.derivatives([0.0], [-1.0])


@pytest.mark.parametrize("name", SMOOTH)
def test_weights_are_rows_counted_more_than_once(name: str) -> None:
    f = made(name, "lightgbm").objective
    scores, y = rows(made(name, "lightgbm"))
    times = np.arange(len(y)) % 3
    again = np.repeat(np.arange(len(y)), times)
    slope, bend = f.sklearn(y, scores, times)
    for mine, plain in zip((slope, bend), f.sklearn(y[again], scores[again]), strict=True):
        np.testing.assert_allclose(np.sum(mine, axis=0), np.sum(plain, axis=0), rtol=1e-12)
    _, value, higher = f.sklearn_metric(y, scores, times)
    np.testing.assert_allclose(value, f.sklearn_metric(y[again], scores[again])[1], rtol=1e-12)
    assert not higher
    start = f.initial_score(y, times)
    np.testing.assert_allclose(start, f.initial_score(y[again]), atol=1e-6)


def test_initial_scores_in_closed_form() -> None:
    y = np.array([0, 0, 0, 1, 1, 2.0])
    found = made("softmax_cross_entropy", "xgboost").objective.initial_score(y)
    prior = np.log(np.array([3, 2, 1]))
    np.testing.assert_allclose(found, prior - prior.mean(), atol=1e-6)
    counts = np.array([0.0, 1, 2, 7])
    poisson = made("poisson", "xgboost").objective.initial_score(counts)
    np.testing.assert_allclose(poisson, np.log(2.5), rtol=1e-12)
    tau = made("quantile", "xgboost").functions["Objective"](tau=0.25)
    assert 2 <= tau.initial_score(np.arange(1.0, 11)) <= 3 + 1e-9
    assert made("sigmoid_cross_entropy", "xgboost").objective.initial_score(np.ones(4)) == 0


def test_links() -> None:
    a = np.random.default_rng(0).normal(size=(4, 3))
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    for name in ("softmax_cross_entropy", "focal", "label_smoothing", "softmax_mse"):
        np.testing.assert_allclose(made(name, "xgboost").functions["link"](a), p, rtol=1e-14)
    z = a[:, 0]
    for name, expected in (
        ("binary_focal", 1 / (1 + np.exp(-z))),
        ("sigmoid_cross_entropy", 1 / (1 + np.exp(-z))),
        ("poisson", np.exp(z)),
        ("gamma", np.exp(z)),
        ("tweedie", np.exp(z)),
        ("huber", z),
        ("quantile", z),
    ):
        np.testing.assert_allclose(made(name, "xgboost").functions["link"](z), expected, rtol=1e-14)
    for name in ("hinge", "multiclass_hinge", "sm_softmax"):
        assert "link" not in made(name, "xgboost").functions


# -- training beside the libraries' own objectives -----------------------------------------------


def digits() -> tuple[Any, Any]:
    table, y = load_digits(return_X_y=True)
    return table[:400], y[:400].astype(float)


def cancer() -> tuple[Any, Any]:
    table, y = load_breast_cancer(return_X_y=True)
    return table, y.astype(float)


def diabetes() -> tuple[Any, Any]:
    table, y = load_diabetes(return_X_y=True)
    return table, y / 100


XGB = {"nthread": 1, "max_depth": 4, "eta": 0.3, "seed": 0}
LGB = {"verbosity": -1, "num_threads": 1, "boost_from_average": False, "min_data_in_leaf": 5}


def xgb_scores(data: Any, params: dict[str, Any], rounds: int = ROUNDS, **more: Any) -> Any:
    import xgboost as xgb

    start = {"base_score": 0.5, "disable_default_eval_metric": True}  # margins replace it
    return xgb.train({**XGB, **start, **params}, data, rounds, **more).predict(
        data, output_margin=True
    )


@pytest.mark.parametrize(
    ("own", "name", "hessian", "table"),
    [
        ("binary:logistic", "sigmoid_cross_entropy", None, cancer),
        ("multi:softprob", "softmax_cross_entropy", None, digits),
        ("reg:squarederror", "mean_squared_error", None, diabetes),
        ("reg:pseudohubererror", "pseudo_huber", "exact", diabetes),
        ("reg:gamma", "gamma", "exact", diabetes),
        ("reg:tweedie", "tweedie", "exact", diabetes),
    ],
)
def test_xgboost_own_objectives(own: str, name: str, hessian: str | None, table: Any) -> None:
    xgb = pytest.importorskip("xgboost")
    x, y = table()
    margins = np.zeros((len(y), 10) if own.startswith("multi") else len(y))
    data = xgb.DMatrix(x, y, weight=1 + np.arange(len(y)) % 3, base_margin=margins)
    params = {"num_class": 10} if own.startswith("multi") else {}
    theirs = xgb_scores(data, {**params, "objective": own})
    mine = xgb_scores(data, params, obj=made(name, "xgboost", hessian).objective)
    np.testing.assert_allclose(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("own", "name", "hessian", "table"),
    [
        ({"objective": "binary"}, "sigmoid_cross_entropy", None, cancer),
        ({"objective": "multiclass", "num_class": 10}, "softmax_cross_entropy", None, digits),
        ({"objective": "regression"}, "mean_squared_error", None, diabetes),
        ({"objective": "huber", "alpha": 1.0}, "huber", "one", diabetes),
        ({"objective": "gamma"}, "gamma", "exact", diabetes),
        ({"objective": "tweedie"}, "tweedie", "exact", diabetes),
    ],
)
def test_lightgbm_own_objectives(own: Any, name: str, hessian: str | None, table: Any) -> None:
    lgb = pytest.importorskip("lightgbm")
    x, y = table()
    weight = 1 + np.arange(len(y)) % 3

    def scores(**params: Any) -> Any:
        data = lgb.Dataset(x, y, weight=weight)
        return lgb.train({**LGB, **params}, data, ROUNDS).predict(x, raw_score=True)

    f = made(name, "lightgbm", hessian).objective
    # LightGBM multiplies a squared error by its weight in float32.
    close = 1e-7 if own["objective"] == "regression" else 1e-9
    mine, theirs = scores(**{**own, "objective": f}), scores(**own)
    np.testing.assert_allclose(mine, theirs, atol=close, rtol=close)


@pytest.mark.parametrize(
    ("own", "name", "table", "classes"),
    [
        ("Logloss", "sigmoid_cross_entropy", cancer, 0),
        ("MultiClass", "softmax_cross_entropy", digits, 10),
        ("RMSE", "mean_squared_error", diabetes, 0),
    ],
)
def test_catboost_own_objectives(own: str, name: str, table: Any, classes: int) -> None:
    cat = pytest.importorskip("catboost")
    x, y = table()
    x, y = x[:120], y[:120]
    params = {"depth": 3, "iterations": ROUNDS, "thread_count": 1, "random_seed": 0}
    params |= {"leaf_estimation_method": "Newton", "leaf_estimation_iterations": 1}
    params |= {"boost_from_average": False, "bootstrap_type": "No", "random_strength": 0}
    params |= {"allow_writing_files": False, "verbose": False, "learning_rate": 0.3}
    params |= {"score_function": "L2", "leaf_estimation_backtracking": "No"}
    params |= {"classes_count": classes} if classes else {}

    def scores(**more: Any) -> Any:
        pool = cat.Pool(x, y, weight=1 + np.arange(len(y)) % 3)
        model = cat.CatBoost({**params, **more}).fit(pool)
        return model.predict(pool, prediction_type="RawFormulaVal")

    f = made(name, "catboost").objective
    mine, theirs = scores(loss_function=f, eval_metric=own), scores(loss_function=own)
    np.testing.assert_allclose(mine, theirs, atol=1e-9, rtol=1e-9)


def test_scikit_learn_own_objectives() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    options = {"max_iter": ROUNDS, "early_stopping": False}
    x, y = digits()
    loss = made("softmax_cross_entropy", "hist_gradient_boosting").functions["Loss"](classes=10)
    mine = ensemble.HistGradientBoostingClassifier(loss=loss, **options).fit(x, y)
    theirs = ensemble.HistGradientBoostingClassifier(**options).fit(x, y)
    np.testing.assert_allclose(mine.predict_proba(x), theirs.predict_proba(x), atol=1e-5)
    x, y = diabetes()
    loss = made("poisson", "hist_gradient_boosting").functions["Loss"]()
    mine = ensemble.HistGradientBoostingRegressor(loss=loss, **options).fit(x, y)
    theirs = ensemble.HistGradientBoostingRegressor(loss="poisson", **options).fit(x, y)
    np.testing.assert_allclose(mine.predict(x), theirs.predict(x), rtol=1e-5)


def test_estimators_and_early_stopping() -> None:
    lgb = pytest.importorskip("lightgbm")
    xgb = pytest.importorskip("xgboost")
    x, y = cancer()
    f = made("binary_focal", "lightgbm").objective
    data = lgb.Dataset(x[:400], y[:400])
    held = lgb.Dataset(x[400:], y[400:], reference=data)
    stop = lgb.early_stopping(3, verbose=False)
    params = {**LGB, "objective": f}
    model = lgb.train(params, data, 400, valid_sets=[held], feval=f.metric, callbacks=[stop])
    assert 0 < model.best_iteration < 400
    estimator = lgb.LGBMClassifier(objective=f.sklearn, n_estimators=5, verbosity=-1, n_jobs=1)
    native = lgb.train({**params, "min_data_in_leaf": 20}, lgb.Dataset(x[:400], y[:400]), 5)
    scores = estimator.fit(x[:400], y[:400]).predict(x, raw_score=True)
    np.testing.assert_allclose(scores, native.predict(x, raw_score=True), rtol=1e-9)
    g = made("binary_focal", "xgboost").objective
    params = {**XGB, "base_score": 0.0, "disable_default_eval_metric": True}
    held = xgb.DMatrix(x[400:], y[400:])
    booster = xgb.train(
        params,
        xgb.DMatrix(x[:400], y[:400]),
        400,
        obj=g,
        custom_metric=g.metric,
        evals=[(held, "held")],
        early_stopping_rounds=3,
        verbose_eval=False,
    )
    assert 0 < booster.best_iteration < 400


def test_verify_refers_to_the_self_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "focal", "--target", "xgboost"]) == 2
    assert "checks itself" in capsys.readouterr().err


def test_files_run_alone(root: Path) -> None:
    """The committed file of each library, as a user runs it."""
    for target, library in OBJECTIVES.items():
        pytest.importorskip(library.module)
        path = root / "generated" / target / "focal.py"
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
        assert "FAILED" not in done.stdout
        assert "Hessian policy: floor:0.001" in done.stdout
