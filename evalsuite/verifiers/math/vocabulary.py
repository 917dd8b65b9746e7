"""The commands that the parser knows, by what they mean."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["CONSTANTS", "FUNCTIONS", "INFIX", "LETTERS", "MATRICES", "RELATIONS", "SEGMENTS", "STYLES"]

_FUNCTION_NAMES = (
    "sin cos tan cot sec csc ln log lg exp arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh cis tg ctg arctg"
)
_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi varphi chi "
    "psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell"
)

#: Signs of relations in the spelling that :class:`~evalsuite.verifiers.math.syntax.Relation` uses.
RELATIONS = MappingProxyType(
    {
        "=": "=",
        "<": "<",
        ">": ">",
        "lt": "<",
        "gt": ">",
        "le": "<=",
        "ge": ">=",
        "ne": "!=",
        "approx": "~",
        "sim": "~",
        "in": "in",
        "equiv": "==",
    }
)
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
CONSTANTS = MappingProxyType({"pi": "pi", "infty": "oo", "infinity": "oo", "i": "i", "e": "e", "imath": "i"})
LETTERS = frozenset(_GREEK.split())
STYLES = frozenset(("mathbb", "mathbf", "mathcal", "mathsf", "mathit", "vec", "hat", "boldsymbol", "bm"))
SEGMENTS = frozenset(("overline", "overrightarrow", "widehat"))
MATRICES = frozenset(("pmatrix", "bmatrix", "Bmatrix", "matrix", "smallmatrix", "array", "cases"))
#: Commands that cannot begin a factor, and so end a product without a sign.
INFIX = frozenset(
    ("times", "cdot", "div", "ast", "cup", "cap", "setminus", "pm", "mp", "to", "rangle", "rfloor", "rceil")
)
