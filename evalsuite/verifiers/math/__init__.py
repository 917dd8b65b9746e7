"""Judge the final answer of a mathematical solution.

What counts as the final answer (``mode``):

====================================  ==========================  ====================  =======================
in the completion                     ``eval``                    ``reward``            ``flex`` (Tülu 3)
====================================  ==========================  ====================  =======================
text inside ``<think>``               never counts                never counts          never counts
``<think>`` that is not closed        no answer                   no answer             no answer
several complete boxes                the last                    all must agree        the last
boxes listed for a list, "3 or -3"    all of them                 all of them           the last
"the final answer is" after the box   what it says                must agree            beside the box
an empty box before the last          ignored                     ignored               ignored
last box unclosed or empty            no answer                   no answer             an earlier one
box negated, retracted, struck out    no answer                   no answer             counts
box in a TeX or HTML comment          no answer                   no answer             counts
``-\\boxed{5}``, ``\\boxed{5}^2``        the box                     no answer             the box
``\\boxed{5}, or 7``                   the box                     must agree            the box
"the answer is ...", ``####``         the last, without a box     must agree with the   Minerva's exact phrase,
                                                                  box before it         beside the box
last ``$...$``, last number           whichever is later,         no answer             last ``$...$`` without
                                      without both above                                both above
an enumeration, "5 or 7"              differs from one number     differs               differs
a chain such as ``7 = 5``             its last value, if all      differs               as in ``eval``
                                      values are equal
``2+3`` for 5                         equal                       unevaluated           equal
``5\\%`` for 5                         equal                       differs               equal
a unit the reference lacks            equal                       if it is well known   equal
====================================  ==========================  ====================  =======================

Mode ``flex`` can also give the verdicts that were published, quirk by quirk (task ``math`` does, see its
``[olmes_compat]``): ``equality="minerva"`` is :mod:`evalsuite.verifiers.math.minerva`, ``box="last"`` lets an unclosed
last box hide the earlier ones, and ``thinking="kept"`` reads ``<think>`` blocks like any other text.

A completion that is nothing but one readable answer is that answer in ``eval``. Equality never allows a factor of 100
beyond a percent sign that is there, rounds only where a decimal is written (to 1e-6, absolutely and relatively), and
knows no digits but 0-9. Cannot be caught by rules: a right answer with wrong reasoning, and a retraction in other words
than "wrong", "incorrect" and "not".
"""

from evalsuite.verifiers.math.verifier import Math

__all__ = ["Math"]
