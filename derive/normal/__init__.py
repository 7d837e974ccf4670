"""The exact normal form: polynomials over exp, log, power and sum atoms with symbolic axes."""

from derive.normal.form import NormalForm
from derive.normal.poly import Poly, Undecided, to_expr

__all__ = ["NormalForm", "Poly", "Undecided", "to_expr"]
