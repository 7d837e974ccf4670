#!/bin/sh
# What pminusy does, in a minute; `make demo` runs it.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$1"; }
show() { printf '$ %s\n' "$1"; eval "$1"; }

say "The gradient of softmax cross-entropy, step by step"
show "pminusy derive softmax_cross_entropy --wrt a"

say "A gradient derived by hand, proved"
show "pminusy check linear_softmax_cross_entropy --wrt 'W[u,v]' --claim '(p[u]-y[u])*x[v]'"

say "The chain rule along one path only, refuted with numbers"
code=0
show "pminusy check linear_softmax_cross_entropy --wrt 'W[u,v]' --claim '-y[u]/p[u]*p[u]*(1-p[u])*x[v]'" || code=$?
test "$code" -eq 1 || { echo "expected exit code 1, found $code" >&2; exit 1; }

say "The same layer with numbers"
show "pminusy evaluate linear_softmax_cross_entropy x=1,2,3 'W=.1,.2,.3;.4,.5,.6;.7,.8,.9' b=0,0,0 y=0,0,1 --wrt W --digits 4"

if python -c 'import scipy, sklearn' 2>/dev/null; then
    say "A classifier of handwritten digits, trained with the generated kernel"
    show "python examples/digits.py"
else
    say "scikit-learn is not installed, so the digits are left out"
fi
