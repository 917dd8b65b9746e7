"""Right answers to the prompts of IFBench that have a checker of their own."""

from __future__ import annotations

import string
from collections.abc import Mapping
from types import MappingProxyType

from evalsuite.verifiers.instructions import custom
from evalsuite.verifiers.instructions.constraint import Constraint
from evalsuite.verifiers.instructions.word_lists import CAPITALS_BY_LATITUDE

__all__ = ["CUSTOM"]

_AFRICA = """
    " Algeria Angola Benin Botswana Burkina_Faso Burundi Cabo_Verde Cameroon Central_African_Republic Chad
    Comoros Democratic_Republic_of_the_Congo Djibouti Egypt Equatorial_Guinea Eritrea Eswatini Ethiopia Gabon
    Gambia Ghana Guinea Guinea-Bissau Ivory_Coast Kenya Lesotho Liberia Libya Madagascar Malawi Mali Mauritania
    Mauritius Morocco Mozambique Namibia Niger Nigeria Republic_of_the_Congo Rwanda Senegal Seychelles
    Sierra_Leone Somalia South_Africa South_Sudan Sudan Sao_Tome_and_Principe Tanzania Togo Tunisia Uganda
    Zambia Zimbabwe
"""


def _question(number: int) -> str:
    options = "\n".join(f"{letter}) Painter {letter}" for letter in "ABCDE")
    return f"Question {number}: {'Who painted a really ' + 'very ' * number + 'famous picture?'}\n{options}"


def _csv(header: str, row: str, count: int) -> str:
    return "\n".join([header, *([row] * count)])


_EAGLE = "the national animal of the us is the bald eagle"
_QUOTED_HEADER = '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"'

#: One right answer for each kind.
CUSTOM: Mapping[type[Constraint], str] = MappingProxyType(
    {
        custom.BattleDates: "1796-04-12, 1805-12-02, 1815-06-18",
        custom.CapitalsByLatitude: ", ".join(CAPITALS_BY_LATITUDE),
        custom.CityCsv: _csv("ID,Country,City,Year,Count", "1,Peru,Lima,2020,5", 7),
        custom.CountriesReversed: "\n".join(name.replace("_", " ") for name in sorted(_AFRICA.split(), reverse=True)),
        custom.MultipleChoice: "\n".join(map(_question, range(1, 5))),
        custom.Multiples: "14, 21, 28, 35, 42, 49",
        custom.QuotedCsv: _csv(_QUOTED_HEADER, '"1"\t"Art"\t"A"\t"Fall"\t"95"', 3),
        custom.ReversedCharacters: _EAGLE[::-1],
        custom.ReversedWords: " ".join(reversed(_EAGLE.split())),
        custom.SentenceAlphabet: " ".join(f"{letter}nd so it goes on." for letter in string.ascii_uppercase),
        custom.SpecialCharacterCsv: _csv("ProductID,Category,Brand,Price,Stock", '1,"Food & Drink",Acme,5,9', 14),
    }
)
