"""Answer-checkers: completion + reference → :class:`Verdict`. The same objects score benchmarks and reward policies."""

from evalsuite.verifiers.base import BadReference, LogLikelihoodVerifier, TextVerifier, Verifier
from evalsuite.verifiers.registry import load_verifier
from evalsuite.verifiers.verdict import Outcome, Verdict

__all__ = [
    "BadReference",
    "LogLikelihoodVerifier",
    "Outcome",
    "TextVerifier",
    "Verdict",
    "Verifier",
    "load_verifier",
]
