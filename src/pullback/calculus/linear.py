"""What both modes start from: the flat program on its own axes, what is differentiated, made-up
names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace

from ..errors import DerivationError
from ..ir.expr import Access, Apply, Arg, Expr, Opaque, Reduce, Tensor
from ..ir.missing import asks_what_is_finite, selects_by_bools
from ..ir.program import Define, Program
from ..ir.recurrence import Group, groups, is_recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import fresh, rename_tensors, substitute, tensors
from ..opaque import TABLE, WAVES
from ..text import PRIVATE
from .conventions import checked
from .differential import differential
from .differentiate import Context, Occurrence, occurrences
from .flatten import flatten
from .kinks import Kinks
from .letters import hints, lettered
from .normal import Term, poly
from .roots import Roots

HIGHEST = 16  # order of a gradient that is told by its name


class Linear:
    """The flat statements of a program, each over its target's own axes (indices named
    ``target.k``)."""

    def __init__(
        self, program: Program, wrt: Sequence[Tensor] | None, conventions: Mapping[str, str]
    ) -> None:
        self.program = program
        floats = [t for t in program.inputs if t.kind == "float"]
        self.wrt = tuple(floats if wrt is None else wrt)
        for tensor in self.wrt:
            if tensor not in floats:
                raise DerivationError(
                    f"{tensor.name} can't be differentiated",
                    expected=f"float inputs: {', '.join(t.name for t in floats) or 'none'}",
                    found=f"{tensor.name} of dtype {tensor.dtype}",
                )
        self.conventions = checked(conventions)
        plain = flatten(program)
        self.letters = hints(plain) | hints(program)
        self.flat = [self._on_axes(s) for s in plain.statements]
        known = _without_known_maxima(self.flat)
        self.definitions = {s.target: s for s in known}
        self.extra: dict[Tensor, list[Define]] = {}
        self._occurrences: dict[Define, list[Occurrence]] = {}
        self.taken = {t.name for t in program.inputs} | {s.target.name for s in self.flat}
        self.given = frozenset(self.taken)  # the program's own names
        self.origin: dict[Tensor, Tensor] = {}
        self.active = active_values(known, self.wrt)
        self.complete = not (asks_what_is_finite(self.flat) or selects_by_bools(self.flat))
        self.later: list[Define] = []  # operations whose results only the derivative reads
        self.groups = self._linearised(known)
        self.chain = [s for group in self.groups for s in group]
        self.roots = Roots(self.definitions, self.active.__contains__, self.conventions)
        self.kinks = Kinks(
            self.definitions,
            self.active.__contains__,
            self.conventions,
            self.roots,
            program.outputs,
        )

    def is_away(self, tensor: Tensor) -> bool:
        """Whether a value is seen to be greater than some constant that is greater than 0."""
        return self.complete and self.kinks.is_away(
            Access(tensor, tuple(map(at, self.axes(tensor))))
        )

    def copy(self) -> Linear:
        """The same program, to be differentiated once more under the same names."""
        other = copy(self)
        other.taken = set(self.taken)
        other.letters = dict(self.letters)
        other.extra = {target: list(made) for target, made in self.extra.items()}
        return other

    def _linearised(self, flat: Sequence[Define]) -> list[Group]:
        """The flat statements as they are differentiated, those that need each other together.

        An opaque operation is replaced by what its row says of its differential; what that reads
        is added to the flat statements.
        """
        found: list[Group] = []
        own = {s.target: s for s in self.flat}
        self.flat = []
        known = _operations(flat)
        for group in groups(flat):
            self.flat += [own[s.target] for s in group]
            made: list[Define] = []
            for s in group:
                active = isinstance(s.body, Opaque) and s.target in self.active
                made += self._tangents(s, known) if active else [s]
            found += [tuple(made)] if is_recurrent(group) else [(t,) for t in made]
        return found

    def _tangents(self, s: Define, known: dict[Opaque, Tensor]) -> list[Define]:
        made = differential(s, known, self.name)
        values = [self._on_axes(value) for value in made.values]
        body: Opaque = s.body  # type: ignore[assignment]
        row = TABLE[body.operation]
        beside = {Opaque(name, body.operands, ()) for name in row.beside}
        for value in values:  # what the same computation gives is kept, the rest can wait
            together = not beside.isdisjoint(_operations([value]))
            (self.flat if together else self.later).append(value)
        self.definitions.update({value.target: value for value in values})
        known.update(_operations(values))
        self.origin.update(made.origin)
        for inner in (*made.values, *made.tangents):
            self.letters.setdefault(inner.target, self._batched_letters(s, inner))
        self.active.update(tangent.target for tangent in made.tangents)
        return [self._on_axes(tangent) for tangent in made.tangents]

    def differentials(self) -> tuple[Define, ...]:
        """The statements of the chain that stand for opaque operations: ``δX`` is X's."""
        names = {t: Tensor(f"δ{of.name}", t.shape, t.dtype) for t, of in self.origin.items()}
        found = [s for s in self.chain if any(t in names for t in tensors(s.body))]
        return tuple(
            replace(
                made,
                target=Tensor(f"δ{s.target.name}", s.target.shape, s.target.dtype),
                body=rename_tensors(made.body, names),  # type: ignore[arg-type]
            )
            for s in found
            for made in (self.lettered(s, s.target),)
        )

    def _batched_letters(self, s: Define, inner: Define) -> tuple[str, ...]:
        """Letters for an operation's inner value: over the batch those of its result."""
        names = list(self.letters[s.target])
        count = sum(index.name.startswith(f"~{PRIVATE}") for index in inner.indices)
        out = names[:count]
        for index in inner.indices[count:]:
            out.append(fresh(index, set(out)).name)
        return tuple(out)

    def origins_of(self, define: Define) -> tuple[Tensor, ...]:
        """The tensors that a statement of the chain is differentiated by or reads."""
        return tuple(dict.fromkeys(self.origin.get(t, t) for t in tensors(define.body)))

    def occurrences(self, define: Define) -> list[Occurrence]:
        """Every differentiated occurrence in a statement of the chain, with its partial."""
        found = self._occurrences.get(define)
        if found is None:
            found = self._found(define)
            if define.target not in self.extra:  # then copies of the program take it from here
                self._occurrences[define] = found
        return found

    def _found(self, define: Define) -> list[Occurrence]:
        context = self.context(define)
        if not any(t in self.origin for t in tensors(define.body)):
            return occurrences(define, context)
        context = replace(context, active=lambda t: self.origin.get(t) in self.active)
        return [
            Occurrence(Access(self.origin[o.access.tensor], o.access.subs), o.partial)
            for o in occurrences(define, context)
        ]

    def axes(self, tensor: Tensor) -> tuple[Index, ...]:
        """The indices that every value of this tensor's shape is written in."""
        return tuple(
            Index(f"{tensor.name}.{PRIVATE}{k}", extent) for k, extent in enumerate(tensor.shape)
        )

    def _on_axes(self, s: Define) -> Define:
        axes = self.axes(s.target)
        moved = {i: at(j) for i, j in zip(s.indices, axes, strict=True)}
        return Define(s.target, axes, substitute(s.body, moved), s.source, s.user)  # type: ignore[arg-type]

    def lettered(self, statement: Define, of: Tensor) -> Define:
        """The statement with letters for people, free indices those of ``of``."""
        return lettered(statement, self.letters, of)

    def name(self, wanted: str) -> str:
        """``wanted`` or, where that is taken, the next free numbered variant; taken from now on."""
        name, n = wanted, 1
        while name in self.taken:
            n += 1
            name = f"{wanted}{n}"
        self.taken.add(name)
        return name

    def gradient_name(self, of: str) -> str:
        """The name of a value's gradient: ``dX``, and ``d2X`` where the program has a dX already,
        since it computes gradients itself; the order is above all that there are."""
        names = [f"d{of}", *(f"d{order}{of}" for order in range(2, HIGHEST + 1))]
        last = max((k for k, name in enumerate(names) if name in self.given), default=-1)
        return self.name(names[min(last + 1, HIGHEST - 1)])

    def context(self, statement: Define) -> Context:
        """What differentiating one statement needs to know."""

        def arg(value: Reduce, which: int) -> Access:
            made = self.extra.setdefault(statement.target, [])
            body = Arg(value.op, value.indices, which, value.domain, value.body)
            found = next((s for s in made if s.body is body), None)
            if found is None:
                letter = value.indices[which].name
                name = self.name(f"arg_{statement.target.name}_{letter}")
                target = Tensor(name, statement.target.shape, "int")
                self.letters[target] = self.letters[statement.target]
                found = Define(target, statement.indices, body, statement.source, False)
                made.append(found)
            return found.access

        return Context(
            lambda t: t in self.active,
            arg,
            self.conventions,
            self.kinks,
            self.roots,
        )

    def is_norm(self, tensor: Tensor) -> bool:
        """Whether a tensor is a norm and takes the norm's convention at 0."""
        define = self.definitions.get(tensor)
        if define is None:
            return False
        match poly(define.body):
            case (Term(_, _, _, factors),):
                return any(self.roots.is_norm(a, e, define.access) for a, e in factors)
            case _:
                return False

    def origins(self, of: Iterable[Tensor]) -> set[Tensor]:
        """These tensors and everything that they are computed from."""
        found: set[Tensor] = set()
        stack = list(of)
        while stack:
            tensor = stack.pop()
            if tensor in found:
                continue
            found.add(tensor)
            define = self.definitions.get(tensor)
            if define is not None:
                stack.extend(tensors(define.body))
        return found

    def squared(self, value: Access) -> set[Access]:
        """Reads that are 0 where this one is: of what it is, up to roots, a sum of squares of.

        Only reads at the same place are found, not those under a sum.
        """
        if not (self.is_square(value) or self.is_norm(value.tensor)):
            return set()
        define = self.definitions[value.tensor]
        place = dict(zip(define.indices, value.subs, strict=True))
        found: set[Access] = set()
        for part in poly(define.body):
            match part:
                case Term(_, (), (), ((Access() as factor, _),)):
                    atom: Access = substitute(factor, place)  # type: ignore[assignment]
                    found |= {atom} | self.squared(atom)
        return found

    def is_square(self, value: Expr) -> bool:
        """Whether a value is a sum of squares, or of what goes to 0 as fast."""
        degree = self.roots.degree(value)
        return degree is not None and degree >= 2


def _without_known_maxima(statements: Sequence[Define]) -> list[Define]:
    """The statements, with choices between values whose order is known made."""
    choices = ("maximum", "minimum", "clip", "abs")
    if not any(isinstance(s.body, Apply) and s.body.function in choices for s in statements):
        return list(statements)
    from .order import without_known_maxima  # not needed before there is such a function

    return without_known_maxima(statements)


def without_matrices(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements of a derivative, products with the matrices of Fourier transforms replaced."""
    if not any(isinstance(s.body, Opaque) and s.body.operation in WAVES for s in linear.later):
        return list(statements)
    from .fourier import transformed  # not needed before there is such an operation

    return transformed(statements, linear)


def _operations(statements: Iterable[Define]) -> dict[Opaque, Tensor]:
    """The results of operations, by the operations read at no subscripts."""
    found = [(s.body, s.target) for s in statements if isinstance(s.body, Opaque)]
    return {Opaque(body.operation, body.operands, ()): target for body, target in found}


def _is_steady(body: Expr) -> bool:
    """Whether a body is piecewise constant: an opaque operation without a differential."""
    if not isinstance(body, Opaque):
        return False
    row = TABLE[body.operation]
    return not row.differential and not row.refuses


def active_values(statements: Sequence[Define], wrt: Sequence[Tensor]) -> set[Tensor]:
    """The values that change with those of ``wrt``, through recurrences, too."""
    active = set(wrt)
    for group in groups(statements):
        left = [s for s in group if s.target.kind == "float" and not _is_steady(s.body)]
        while found := [s for s in left if any(t in active for t in tensors(s.body))]:
            active.update(s.target for s in found)
            left = [s for s in left if s not in found]
    return active
