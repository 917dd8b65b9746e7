"""Closed lists of words that IFBench's constraints name."""

from __future__ import annotations

__all__ = ["CAPITALS_BY_LATITUDE", "CONJUNCTIONS", "PERSON_NAMES", "PRONOUNS", "STOP_WORDS"]

CONJUNCTIONS = frozenset({"and", "but", "for", "nor", "or", "so", "yet"})

_PRONOUNS = """
    i me my mine myself we us our ours ourselves you your yours yourself yourselves
    he him his himself she her hers herself it its itself they them their theirs themselves
    this that these those who whom whose which what whoever whomever whatever whichever
    anybody anyone anything everybody everyone everything nobody nothing somebody someone something
    each either neither both all some any none
"""
#: Personal, possessive, reflexive, demonstrative, interrogative and indefinite pronouns.
PRONOUNS = frozenset(_PRONOUNS.split())

_STOP_WORDS = """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
    it its itself they them their theirs themselves what which who whom this that these those
    am is are was were be been being have has had having do does did doing will can should now
    a an the and but if or because as until while nor so than too very just not only own same such no
    of at by for with about against between into through during before after above below to from up down in out on
    off over under again further then once here there when where why how all any both each few more most other some
    aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn weren won wouldn ain
    d ll m ma o re s t ve y
"""
#: English function words, and the pieces into which an apostrophe cuts contractions.
STOP_WORDS = frozenset(_STOP_WORDS.split())

_PERSON_NAMES = """
    Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander Amelia Benjamin Harper
    Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel Ella Jacob Scarlett Nathan Victoria Elijah
    Layla Nicholas Audrey David Hannah Christopher Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan
"""
#: The names that the prompt lists.
PERSON_NAMES = frozenset(_PERSON_NAMES.split())

_CAPITALS = """
    Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin Amsterdam Warsaw
    London Brussels Prague Luxembourg Paris Vienna Bratislava Budapest Vaduz Chisinau Bern Ljubljana Zagreb
"""
#: The European capitals north of 45 degrees, from north to south.
CAPITALS_BY_LATITUDE = tuple(_CAPITALS.split())
