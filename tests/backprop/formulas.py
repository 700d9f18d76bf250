"""An evaluator of the notation in which local rules are written, by NumPy.

products side by side, of entries or, of what has capitals, of matrices;    x², Aᵀ, √x, |x|
[a > b] is 1 where it holds;    x[0:2, 1:3] is a part of x, x[i] what stands at the indices i
f(x, (1,)) calls f;    y[p] = Σₜ x[p + t] k[t] is a sum of products of matrices at places
"""

import re
import unicodedata

import numpy as np
from scipy import special

TOKEN = re.compile(
    r"(?P<number>\d+(\.\d+)?)|(?P<name>[A-Za-zπ]\u0304?[₀-₉]*(?:[a-z_]*)?)|(?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|ᵀ)"
    r"|(?P<sign>[-+−/()\[\],=<>|√:])|(?P<space>\s+)"
)
FACTOR = re.compile(r"(\w\u0304?)\[(.*?)\](ᵀ?)")
LETTERS = {"ₜ": "t", "ₚ": "p"}
DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def digits(text):
    return text.translate(DIGITS)


def spread(y, axes):
    return np.expand_dims(y, axes)


def revcumsum(x, axis):
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis)


def part(starts, shape):
    return tuple(slice(int(i), int(i) + n) for i, n in zip(starts, shape, strict=True))


def place(x, starts, values):
    out = np.array(x)
    out[part(starts, np.shape(values))] = values
    return out


def put(x, where, values):
    out = np.array(x)
    out[where] = values
    return out


def coordinates(i):
    """An index for NumPy, of JAX's, whose last axis holds the coordinates."""
    return tuple(np.moveaxis(i, -1, 0))


def added(x, i, values, axis=None):
    out = np.array(x)
    at = coordinates(i)
    if axis is not None:  # along one axis, all others in their places
        at = list(np.indices(np.shape(values)))
        at[axis] = i[..., 0]
    np.add.at(out, tuple(at), values)
    return out


def half(x):
    return np.tril(x) - x * np.eye(x.shape[-1]) / 2


FUNCTIONS = {
    "sin": np.sin, "cos": np.cos, "sinh": np.sinh, "cosh": np.cosh, "exp": np.exp, "log": np.log,
    "sign": np.sign, "trunc": np.trunc, "power": np.power, "digamma": special.digamma,
    "polygamma": special.polygamma, "sum": np.sum, "spread": spread, "reshape": np.reshape,
    "transpose": np.transpose, "flip": np.flip, "cumsum": np.cumsum, "revcumsum": revcumsum,
    "zeros": np.zeros, "concatenate": np.concatenate, "argsort": np.argsort,
    "take": np.take_along_axis, "place": place, "put": put,
    "block": lambda x, starts, shape: x[part(starts, shape)], "added": added, "half": half,
    "inv": np.linalg.inv, "lower": np.tril, "upper": np.triu,
}  # fmt: skip


def evaluate(text, **values):
    """The value of an expression, and the name that an equation gives it."""
    name, expression = unicodedata.normalize("NFD", text).split(" = ", 1)
    values = {unicodedata.normalize("NFD", k): np.asarray(v) for k, v in values.items()} | {
        "π": np.pi
    }
    name = unicodedata.normalize("NFC", name)
    sums = re.fullmatch(r"einsum\((.*)→(.*); (.*), (.*)\)", expression)
    if sums:
        return name, np.einsum(f"{sums[1]}->{sums[2]}", values[sums[3]], values[sums[4]])
    if "Σ" in expression:
        found = sum_over_places(unicodedata.normalize("NFD", name), expression, values)
        return name[: name.index("[")], found
    parser = Parser(expression, values, matrices=name[0].isupper())
    value = parser.sum()
    assert parser.at == len(parser.tokens), (
        f"{text}: not understood at {parser.tokens[parser.at :]}"
    )
    return name, value


def sum_over_places(name, expression, values):
    """``y[p] = Σₜ x[p + t] k[t]``: each array has a matrix at each place, and zeros outside."""
    letter, result, over = name[: name.index("[")], name[-2], LETTERS[expression[1]]
    factors = FACTOR.findall(expression)
    own = next(values[array] for array, place, _ in factors if place == over)
    out = np.zeros_like(values[letter[0]])
    for p in np.ndindex(out.shape[:-2]):
        for t in np.ndindex(own.shape[:-2]):
            at = {result: np.array(p), over: np.array(t)}
            a, b = (matrix_at(values[array], place, at, turned) for array, place, turned in factors)
            out[p] += a @ b
    return out


def matrix_at(array, place, at, turned):
    index = Parser(place, at, matrices=False).sum()
    inside = (index == np.rint(index)) & (index >= 0) & (index < array.shape[:-2])
    matrix = array[tuple(index.astype(int))] if inside.all() else np.zeros(array.shape[-2:])
    return matrix.T if turned else matrix


class Parser:
    """By recursive descent: sums of products of powers."""

    def __init__(self, text, values, *, matrices):
        self.values, self.matrices, self.at = values, matrices, 0
        self.tokens, spaced, end = [], False, 0
        for found in TOKEN.finditer(text):
            assert found.start() == end, f"{text}: not understood at {text[end:]}"
            end, kind = found.end(), found.lastgroup
            if kind == "space":
                spaced = True
            else:
                self.tokens.append((kind, found[0], spaced))
                spaced = False
        assert end == len(text), f"{text}: not understood at {text[end:]}"

    def next_is(self, *signs, touching=False):
        if self.at == len(self.tokens):
            return False
        _, text, spaced = self.tokens[self.at]
        return text in signs and not (touching and spaced)

    def take(self, *signs):
        _, text, _ = self.tokens[self.at]
        assert not signs or text in signs, (text, signs)
        self.at += 1
        return text

    def sum(self):
        value = self.product()
        while self.next_is("+", "−"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self):
        if self.next_is("−"):
            self.take()
            return -self.product()
        value = self.power()
        while self.at < len(self.tokens) and not self.next_is(
            "+", "−", ")", "]", ",", "=", "<", ">", ":", "|"
        ):
            if self.next_is("/"):
                self.take()
                value = value / self.power()
            else:
                factor = self.power()
                value = value @ factor if self.matrices else value * factor
        return value

    def power(self):
        value = self.atom()
        while self.at < len(self.tokens) and self.tokens[self.at][0] == "power":
            exponent = self.take()
            turned = exponent == "ᵀ"
            value = np.swapaxes(value, -1, -2) if turned else value ** float(digits(exponent))
        return value

    def atom(self):
        kind, text, _ = self.tokens[self.at]
        if text == "(":
            return self.parentheses()
        if text == "[":
            return self.brackets()
        self.take()
        if text == "√":
            return np.sqrt(self.atom())
        if kind == "number":
            return float(text) if "." in text else int(text)
        assert kind == "name", text
        if self.next_is("(", touching=True):
            self.take("(")
            return FUNCTIONS[text](*self.arguments(")"))
        value = self.values[text]
        if not self.next_is("[", touching=True):
            return value
        if self.tokens[self.at + 1][1] == "i":
            self.at += 3
            return value[coordinates(self.values["i"])]
        return value[self.brackets()]

    def arguments(self, end):
        found = []
        while not self.next_is(end):
            found.append(self.sum())
            if self.next_is(","):
                self.take()
        self.take(end)
        return found

    def parentheses(self):
        """A sum, or a tuple of them."""
        self.take("(")
        if self.next_is(")"):
            self.take()
            return ()
        value = self.sum()
        if self.next_is(")"):
            self.take()
            return value
        self.take(",")
        return (value, *self.arguments(")"))

    def brackets(self):
        """Slices, or a statement."""
        self.take("[")
        if not self.slices():
            left, relation = self.sum(), self.take("=", "<", ">")
            right = self.sum()
            self.take("]")
            compare = {"=": np.equal, "<": np.less, ">": np.greater}[relation]
            return compare(left, right).astype(float)
        found = []
        while not self.next_is("]"):
            numbers = [None, None, None]
            for i in range(3):
                if not self.next_is(":", ",", "]"):
                    numbers[i] = int(self.take())
                if not self.next_is(":"):
                    break
                self.take()
            found.append(slice(*numbers))
            if self.next_is(","):
                self.take()
        self.take("]")
        return tuple(found)

    def slices(self):
        rest = [text for _, text, _ in self.tokens[self.at :]]
        return ":" in rest[: rest.index("]")] or rest[0] == "]"
