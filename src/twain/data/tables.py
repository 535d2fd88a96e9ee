"""Tables: comma-separated files and data frames, as typed columns."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.errors import ArgumentError, FileFormatError
from ..base.lazy import LazyModule
from ..tensor import asarray
from . import memory
from .dataset import Dataset, _position

np = LazyModule("numpy")

KINDS = ("int", "float", "category", "text")
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
UNKNOWN = -1  # the number of a category that is missing or not in the vocabulary


class Column:
    """One column: `kind` ("int", "float", "category", "text"), `values`, and for categories their `vocabulary`.

    values: int64, float32 (missing: NaN), int64 numbers of categories (missing or unknown: -1), or a list of texts.
    """

    def __init__(self, name: str, kind: str, values: Any, vocabulary: list[str] | None = None):
        self.name = name
        self.kind = kind
        self.values = values
        self.vocabulary = vocabulary

    def __repr__(self) -> str:
        known = "" if self.vocabulary is None else f", {len(self.vocabulary)} categories"
        return f"Column({self.name!r}, {self.kind}{known})"


class Table(Dataset):
    """Columns of one length. Sample i is (features float32 [n], target), or a dictionary of values without a target.

    Features are all columns but the target and texts, in their order; categories as their numbers.
    """

    def __init__(self, columns: Sequence[Column], target: str | None = None):
        self.columns = {column.name: column for column in columns}
        if target is not None and target not in self.columns:
            raise ArgumentError(f"[Table] expected target to be one of {', '.join(self.columns)}, got {target!r}")
        self.target = target
        self.feature_names = [c.name for c in columns if c.name != target and c.kind != "text"]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).values)

    def __getitem__(self, index: int) -> Any:
        row = _position("Table", index, len(self))
        if self.target is None:
            return {name: column.values[row] for name, column in self.columns.items()}
        features = np.array([self.columns[name].values[row] for name in self.feature_names], np.float32)
        return features, self.columns[self.target].values[row]

    @property
    def vocabularies(self) -> dict[str, list[str]]:
        """The categories of each column that has them; give them to `read_csv` for the test set."""
        return {n: c.vocabulary for n, c in self.columns.items() if c.vocabulary is not None}

    def arrays(self) -> tuple[Any, Any]:
        """(features float32 [rows, n], target [rows]) as tensors."""
        if self.target is None:
            raise ArgumentError("[Table.arrays] expected a table with a target: read_csv(..., target=...)")
        features = np.empty((len(self), len(self.feature_names)), np.float32)
        for number, name in enumerate(self.feature_names):
            features[:, number] = self.columns[name].values
        return asarray(features), asarray(self.columns[self.target].values)

    def batch(self, indices: Any) -> Any:
        """The collated samples `indices`."""
        rows = np.asarray(indices, np.int64)

        def taken(column: Column) -> Any:
            values = column.values
            return [values[i] for i in rows] if column.kind == "text" else memory.picked(values, rows)

        if self.target is None:
            return {name: taken(column) for name, column in self.columns.items()}
        features = np.empty((len(rows), len(self.feature_names)), np.float32)
        for number, name in enumerate(self.feature_names):
            features[:, number] = self.columns[name].values[rows]
        return asarray(features), taken(self.columns[self.target])


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    kinds: Mapping[str, str] | None = None,
    vocabularies: Mapping[str, Sequence[str]] | None = None,
    missing: Sequence[str] = MISSING,
    delimiter: str = ",",
    header: bool = True,
    encoding: str = "utf-8-sig",
) -> Table:
    """A CSV file (RFC 4180: quoted fields may hold delimiters, quotes and line ends) as a Table.

    Args:
        target: the column to be predicted.
        kinds: "int", "float", "category" or "text" by column; else a column of whole numbers is int (float where one is
            missing), of numbers float, and any other is a category.
        vocabularies: categories by column, as the training set has them; others become -1.
        missing: fields that mean nothing is known, in any case: NaN in float columns, -1 in categories.
        header: the first line names the columns; else they are "0", "1", ...

    Raises:
        FileFormatError: (a ValueError) for a row of another length, a field that its column can't hold, a repeated or
            missing header; names file, line and column.
    """
    shown = os.fspath(path)
    nothing = {text.lower() for text in missing}
    with open(path, newline="", encoding=encoding) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            rows, lines = [], []
            for row in reader:
                if row:  # an empty line is no row
                    rows.append(row)
                    lines.append(reader.line_num)
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileFormatError(f"[read_csv] {shown!r}, line {reader.line_num}: {error}") from error
    if not rows or (header and len(rows) == 1):
        raise FileFormatError(f"[read_csv] {shown!r}: expected rows of data, got none")
    names = [name.strip() for name in rows[0]] if header else [str(number) for number in range(len(rows[0]))]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FileFormatError(f"[read_csv] {shown!r}: expected columns of different names, got {twice[0]!r} twice")
    if header:
        del rows[0], lines[0]
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            raise FileFormatError(f"[read_csv] {shown!r}, line {line}: expected {len(names)} fields, got {len(row)}")
    kinds, vocabularies = dict(kinds or {}), dict(vocabularies or {})
    for given in (*kinds, *vocabularies, *([] if target is None else [target])):
        if given not in names:
            raise ArgumentError(f"[read_csv] {shown!r} has no column {given!r}; it has {', '.join(names)}")
    columns = []
    for name, fields in zip(names, zip(*rows, strict=True), strict=True):
        texts = [field.strip() for field in fields]
        known = [text.lower() not in nothing for text in texts]
        kind = kinds.get(name) or ("category" if name in vocabularies else _guess(texts, known))
        if kind not in KINDS:
            raise ArgumentError(
                f"[read_csv] expected the kind of {name!r} to be one of {', '.join(KINDS)}, got {kind!r}"
            )

        def refuse(number: int, why: str, name: str = name) -> FileFormatError:
            return FileFormatError(f"[read_csv] {shown!r}, line {lines[number]}, column {name!r}: {why}")

        columns.append(_column(name, kind, list(fields), texts, known, vocabularies.get(name), refuse))
    return Table(columns, target)


def _whole(text: str) -> int | None:
    digits = text[1:] if text[:1] in "+-" else text
    return int(text) if digits.isdecimal() and digits.isascii() and abs(int(text)) < 2**63 else None


def _number(text: str) -> float | None:
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def _guess(texts: Sequence[str], known: Sequence[bool]) -> str:
    there = [text for text, good in zip(texts, known, strict=True) if good]
    if there and len(there) == len(texts) and all(_whole(text) is not None for text in there):
        return "int"
    return "float" if all(_number(text) is not None for text in there) else "category"


def _column(name: str, kind: str, fields: list, texts: list, known: list, given: Any, refuse: Any) -> Column:
    if kind == "text":
        return Column(name, kind, fields)
    if kind == "category":
        vocabulary = list(given) if given is not None else sorted({t for t, k in zip(texts, known, strict=True) if k})
        numbers = {text: number for number, text in enumerate(vocabulary)}
        values = [numbers.get(t, UNKNOWN) if k else UNKNOWN for t, k in zip(texts, known, strict=True)]
        return Column(name, kind, np.array(values, np.int64), vocabulary)
    made: list[Any] = []
    for number, (text, good) in enumerate(zip(texts, known, strict=True)):
        value: Any = (_whole(text) if kind == "int" else _number(text)) if good else None if kind == "int" else math.nan
        if value is None:
            what = f"expected {'a whole number' if kind == 'int' else 'a number'}, got {text!r}"
            raise refuse(number, what if good else f"{what}; a column with missing values can be a float one")
        made.append(value)
    return Column(name, kind, np.array(made, np.int64 if kind == "int" else np.float32))


def from_pandas(
    frame: Any, *, target: str | None = None, vocabularies: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """A pandas DataFrame as a Table: numbers as they are, other columns as categories. Missing values as in `read_csv`."""
    columns = []
    for label in frame.columns:
        name, series = str(label), frame[label]
        kind = series.dtype.kind if hasattr(series.dtype, "kind") else "O"
        if kind in "iub" and not series.isna().any():
            columns.append(Column(name, "int", series.to_numpy(np.int64)))
        elif kind in "iubf":
            columns.append(Column(name, "float", series.to_numpy(np.float32, na_value=math.nan)))
        else:
            texts = [None if missing else str(v) for v, missing in zip(series, series.isna(), strict=True)]
            known = [text is not None for text in texts]
            columns.append(_column(name, "category", [], texts, known, (vocabularies or {}).get(name), None))
    return Table(columns, target)
