"""The data types of the Common Data Model as those of model.json.

Source: primitives, meanings and foundations of the public schema documents, and how the object model writes its data
formats to a model.json. Types that are texts, and those that nobody knows, stay as they are: they are read as text.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.lake.model import data_type

_WORDS = {
    "string": "char sChar",
    "int64": "integer bigInteger smallInteger unsignedInteger int16 int32 byte listLookup listLookupCorrelated age day "
    "displayOrder hour integerCalendarPart minute minutes month quarter tenday trimester week year",
    "double": "float ampere candela celsius centimeter coulomb degree farad gigahertz gigapascal gram hertz inches "
    "joule kelvin kiloOhm kilogram kilohertz kilometer kilopascal kilovolt kilowatt latitude longitude megaOhm "
    "megahertz megapascal megavolt megawatt meter microSecond microampere microfarad milliSecond milliampere milligram "
    "millimeter millivolt milliwatt mole nanofarad newton ohm pascal picofarad radian second volt watt",
    "decimal": "JSInteger currency baseCurrency fixedDecimal variableDecimal",
    "dateTime": "birthDate",
    "guid": "entityId fileId userId",
    "unclassified": "any unknown",
}
_BY_FOLD = {word.casefold(): name for name, words in _WORDS.items() for word in words.split()}


def of_name(name: str) -> str:
    """The data type of model.json for a data type or data format; any other name stays as it is."""
    return _BY_FOLD.get(name.casefold()) or data_type(name)


def of_traits(traits: Iterable[str]) -> str:
    """The data type that the traits `is.dataFormat.*` of a resolved attribute mean."""
    # The order is that of the object model: a GUID is an array of characters too.
    found = {trait.casefold() for trait in traits}
    is_date, is_time = "is.dataformat.date" in found, "is.dataformat.time" in found
    if is_date and is_time:
        return "dateTimeOffset" if "is.dataformat.timeoffset" in found else "dateTime"
    meanings = {
        "is.dataformat.date": "date",
        "is.dataformat.time": "time",
        "is.dataformat.guid": "guid",
        "means.content.text.json": "json",
        "is.dataformat.boolean": "boolean",
        "is.dataformat.numeric.shaped": "decimal",
        "is.dataformat.floatingpoint": "double",
        "is.dataformat.integer": "int64",
        "is.dataformat.character": "string",
    }
    return next((name for trait, name in meanings.items() if trait in found), "unclassified")
