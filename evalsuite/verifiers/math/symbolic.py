"""The slow tier: Math-Verify (SymPy) in a killable worker process."""

from __future__ import annotations

from evalsuite.verifiers.workers import JobStatus, shared_pool

__all__ = ["decide", "judge_in_worker"]

#: Math-Verify stops itself after this many seconds where it can; the process is killed a little later where it cannot.
_SOFT_SECONDS = 3
_HARD_SECONDS = 8.0


def decide(gold: str, answer: str) -> tuple[bool, str]:
    """Return whether SymPy finds the two equal, and the reason when it could not say."""
    result = shared_pool().run("evalsuite.verifiers.math.symbolic:judge_in_worker", gold, answer, seconds=_HARD_SECONDS)
    if result.status is JobStatus.DONE:
        return bool(result.value), "" if result.value else "different_value"
    return False, f"comparison_{result.status}"


def judge_in_worker(gold: str, answer: str) -> bool:
    """Compare with Math-Verify; runs on the main thread of a worker, where its alarm is nobody else's."""
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    parsed_gold = parse(f"${gold}$", parsing_timeout=_SOFT_SECONDS)
    parsed_answer = parse(f"${answer}$", parsing_timeout=_SOFT_SECONDS)
    return bool(verify(parsed_gold, parsed_answer, timeout_seconds=_SOFT_SECONDS))
