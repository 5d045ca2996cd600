"""Functions that read something besides their arguments, and what changes between two calls.

A row is a name, the source of a function ``f(x)`` that is linear in x, and what is run between two
calls. Both run in a namespace of their own.
"""

CHANGES: list[tuple[str, str, str]] = []


def _rows(text: str) -> None:
    """Enters rows: ``== name``, the source, and after a line ``--`` the change."""
    for block in text.split("\n== ")[1:]:
        name, _, source = block.partition("\n")
        before, _, change = source.partition("\n--\n")
        CHANGES.append((name, before, change))


_rows("""
== a global number
S = 2.0
def f(x): return (x*S).sum()
--
S += 1.0
== a global that shadows a built-in function
def f(x): return (x*float(abs(-3.0))).sum()
--
abs = lambda v: 5.0
== the sign of a zero
Z = 0.0
def f(x): return (x*np.copysign(2.0, Z)).sum()
--
Z = -0.0
== the sign of a zero in a tuple in a dict
Z = {"a": (1, [0.0])}
def f(x): return (x*math.copysign(2.0, Z["a"][1][0])).sum()
--
Z = {"a": (1, [-0.0])}
== the sign of a NaN
Z = struct.unpack("d", struct.pack("Q", 0x7ff8000000000000))[0]
def f(x): return (x*np.copysign(2.0, Z)).sum()
--
Z = struct.unpack("d", struct.pack("Q", 0xfff8000000000000))[0]
== the sign of a zero in an array
Z = np.zeros(1)
def f(x): return (x*np.copysign(2.0, Z)).sum()
--
Z = -Z
== the sign of a complex zero
Z = complex(1.0, 0.0)
def f(x): return (x*np.copysign(2.0, Z.imag)).sum()
--
Z = complex(1.0, -0.0)
== a NumPy scalar's sign of zero
Z = np.float32(0.0)
def f(x): return (x*np.copysign(2.0, Z)).sum()
--
Z = -Z
== True and 1
T = True
def f(x): return (x*(3.0 if T is True else 4.0)).sum()
--
T = 1
== 1 and 1.0
T = (1,)
def f(x): return (x*(3.0 if isinstance(T[0], int) else 4.0)).sum()
--
T = (1.0,)
== keys that are equal but not the same
T = {1: 2.0}
def f(x): return (x*sum(3.0 if type(k) is int else 4.0 for k in T)).sum()
--
T = {True: 2.0}
== an integer beyond 64 bits
T = 2**70
def f(x): return (x*(T % 1000)).sum()
--
T += 7
== a fraction
T = Fraction(1, 3)
def f(x): return (x*float(T)).sum()
--
T *= 2
== a decimal number and the context
T = decimal.Decimal(1)
decimal.getcontext().prec = 5
def f(x): return (x*float(T/3)).sum()
--
decimal.getcontext().prec = 3
== a string
T = "ab"
def f(x): return (x*len(T)).sum()
--
T = "abc"
== bytes that are changed in place
T = bytearray(b"abc")
def f(x): return (x*T[0]).sum()
--
T[0] = 7
== an array of the standard library
T = array.array("d", [1.0, 2.0])
def f(x): return (x*T[1]).sum()
--
T[1] = 5.0
== a deque
T = collections.deque([1.0, 2.0])
def f(x): return (x*T[0]).sum()
--
T.rotate(1)
== a set
T = {1, 2}
def f(x): return (x*sum(T)).sum()
--
T.add(5)
== a set by its order
T = {1, 9}
def f(x): return (x*[*T][0]).sum()
--
T = {9, 17, 1}
T.discard(17)
== the order of a dict
T = {"a": 1.0, "b": 2.0}
def f(x): return (x*[*T.values()][0]).sum()
--
T["a"] = T.pop("a")
== a defaultdict's factory
T = collections.defaultdict(lambda: 2.0)
def f(x): return (x*T.default_factory()).sum()
--
T.default_factory = lambda: 3.0
== a namespace
T = types.SimpleNamespace(w=2.0)
def f(x): return (x*T.w).sum()
--
T.w = 3.0
== a view of a read-only dict
D = {"w": 2.0}
T = types.MappingProxyType(D)
def f(x): return (x*T["w"]).sum()
--
D["w"] = 3.0
== a list that contains itself
T = [1.0]
T.append(T)
def f(x): return (x*T[1][1][0]).sum()
--
T[0] = 5.0
== which of two equal lists it is
A = [1.0]
B = [1.0]
def f(x): return (x*(2.0 if A is B else 3.0)).sum()
--
B = A
== an array changed in place
W = np.array([2.0])
def f(x): return (x*W).sum()
--
W[0] = 5.0
== an array changed through its base
B = np.array([1.0, 2.0, 3.0])
W = B[1:2]
def f(x): return (x*W).sum()
--
B[:] *= 3
== an array's base
B = np.array([1.0, 2.0, 3.0])
W = B[1:2]
def f(x): return (x*W.base[2]).sum()
--
B[2] = 9.0
== an array with gaps
B = np.arange(12.0)
W = B[::-3]
def f(x): return (x*W[1]).sum()
--
B[8] = 9.0
== an array whose memory is laid out otherwise
W = np.ones((2, 2))
def f(x): return (x*(2.0 if W.strides[0] > 8 else 3.0)).sum()
--
W = np.asfortranarray(W)
== an array that may not be written to
W = np.ones(2)
def f(x): return (x*(2.0 if W.flags.writeable else 3.0)).sum()
--
W.flags.writeable = False
== an array of objects
W = np.array([2.0, None])
def f(x): return (x*float(W[0])).sum()
--
W[0] = 7.0
== a 0-d array
W = np.array(2.0)
def f(x): return (x*W).sum()
--
W[...] = 7.0
== an array of records
W = np.zeros(1, [("a", "f8"), ("b", "i2")])
def f(x): return (x*(1 + W["a"][0])).sum()
--
W["a"] = 3.0
== an array mapped from a file
import tempfile
W = np.memmap(tempfile.TemporaryFile(), float, "w+", shape=(1,))
W[:] = 2
def f(x): return (x*np.asarray(W)).sum()
--
W[0] = 5.0
== an array changed by its own resize
W = np.array([2.0, 3.0])
def f(x): return (x*len(W)).sum()
--
W.resize(4, refcheck=False)
== the dtype of an array
W = np.array([3.0], np.float32)
def f(x): return (x*np.finfo(W.dtype).precision).sum()
--
W = W.astype(float)
== a dtype
T = np.dtype("f4")
def f(x): return (x*T.itemsize).sum()
--
T = np.dtype("f8")
== a branch on an array's values
W = np.array([1.0, 0.0])
def f(x): return (x if W.sum() > 1 else 2*x).sum()
--
W[1] = 4.0
== subscripts
I = np.array([0, 1])
T = np.array([2.0, 3.0])
def f(x): return (x*T[I[0]]).sum()
--
I[0] = 1
== numpy.random under another name
import numpy.random as npr
npr.seed(0)
def f(x): return (x*npr.rand(1)).sum()
--
pass
== a function of numpy.random under another name
from numpy.random import rand as noise
np.random.seed(0)
def f(x): return (x*noise(1)).sum()
--
pass
== a random generator
rng = np.random.default_rng(0)
def f(x): return (x*rng.normal()).sum()
--
rng.normal()
== a method of a random generator
draw = np.random.default_rng(0).normal
def f(x): return (x*draw()).sum()
--
pass
== a random generator made in the call from a counter
C = [0]
def f(x):
    C[0] += 1
    return (x*np.random.default_rng(C[0]).normal()).sum()
--
pass
== the standard library's random numbers
random.seed(0)
def f(x): return (x*random.random()).sum()
--
pass
== a random generator in a list in a default argument
def f(x, given=[random.Random(0)]): return (x*given[0].random()).sum()
--
pass
== a random generator in a partial
f = functools.partial(lambda rng, x: (x*rng.random()).sum(), np.random.default_rng(0))
--
pass
== numpy.random found by a computed name
np.random.seed(0)
def f(x): return (x*getattr(getattr(np, "ran" + "dom"), "rand")(1)).sum()
--
pass
== numpy.random found through a dict of a module
np.random.seed(0)
def f(x): return (x*np.__dict__["random"].rand(1)).sum()
--
pass
== numpy.random through a local name
np.random.seed(0)
def f(x):
    m = np
    return (x*m.random.rand(1)).sum()
--
pass
== numpy.random through a conditional
np.random.seed(0)
def f(x): return (x*(np if len(x) else math).random.rand(1)).sum()
--
pass
== numpy.random from operator.attrgetter
np.random.seed(0)
g = operator.attrgetter("random.rand")
def f(x): return (x*g(np)(1)).sum()
--
pass
== numpy.random in a container
T = [np]
np.random.seed(0)
def f(x): return (x*T[0].random.rand(1)).sum()
--
pass
== numpy.random imported in the call
np.random.seed(0)
def f(x):
    from numpy import random as chance
    return (x*chance.rand(1)).sum()
--
pass
== numpy.random by importlib
np.random.seed(0)
def f(x): return (x*importlib.import_module("numpy.random").rand(1)).sum()
--
pass
== a distribution of SciPy
import scipy.stats
T = scipy.stats.norm()
T.random_state = 0
def f(x): return (x*T.rvs(random_state=T.random_state)).sum()
--
pass
== a sparse matrix
import scipy.sparse
T = scipy.sparse.csr_matrix(np.eye(2))
def f(x): return (x*T.sum()).sum()
--
T.data[:] = 3.0
== a polynomial
T = np.poly1d([1.0, 2.0])
def f(x): return (x*T(2.0)).sum()
--
T[1] = 10.0
== np.vectorize of a Python function
V = 2.0
v = np.vectorize(lambda t: t*V)
def f(x): return (x*v(np.ones(1))).sum()
--
V = 3.0
== np.vectorize made in the call
V = 2.0
def f(x): return (x*np.vectorize(lambda t: t*V)(np.ones(1))).sum()
--
V = 3.0
== a ufunc of a Python function
V = 2.0
v = np.frompyfunc(lambda t: t*V, 1, 1)
def f(x): return (x*float(v(1.0))).sum()
--
V = 3.0
== a Python function that looks like NumPy's
S = 2.0
@functools.wraps(np.mean)
def my(x): return x*S
def f(x): return my(x).sum()
--
S = 3.0
== a Python function that says that it is NumPy's
S = 2.0
def my(x): return x*S
my.__module__ = "numpy"
my.__name__ = my.__qualname__ = "sum"
def f(x): return my(x).sum()
--
S = 3.0
== a class that says that it is NumPy's
class T: w = 2.0
T.__module__ = "numpy"
T.__qualname__ = "float64"
def f(x): return (x*T.w).sum()
--
T.w = 3.0
== a class that says that it is built in
class T: w = 2.0
T.__module__ = "builtins"
t = T()
def f(x): return (x*t.w).sum()
--
T.w = 3.0
== a class that says that it is pullback's
class Layer: w = 2.0
Layer.__module__ = "pullback.layers.layer"
t = Layer()
def f(x): return (x*t.w).sum()
--
Layer.w = 3.0
== a method that NumPy calls under another name
class T:
    def max(self, axis=None, out=None, **more): return S
S = 2.0
t = T()
def f(x): return (x*np.amax(t)).sum()
--
S = 3.0
== a mapping that dict reads
class T:
    def keys(self): return ["a"]
    def __getitem__(self, key): return S
S = 2.0
t = T()
def f(x): return (x*{**t}["a"]).sum()
--
S = 3.0
== a generator of the user's that is delegated to
class T:
    def __iter__(self): return self
    def __next__(self): raise StopIteration(S)
S = 2.0
t = T()
def g(): return (yield from t)
def f(x):
    try: next(g())
    except StopIteration as stop: return (x*stop.value).sum()
--
S = 3.0
== a Python function that looks like pullback's
S = 2.0
g = pullback.grad(lambda x: (3*x).sum())
@functools.wraps(g)
def my(x): return g(x)*S
def f(x): return (x*my(np.ones(1))).sum()
--
S = 3.0
== what a gradient is taken of
S = 2.0
g = pullback.grad(lambda y: (y*S).sum())
def f(x): return (x*g(np.ones(1))).sum()
--
S = 3.0
== a layer of a network
net = layers.Network(r=layers.relu(), s=layers.relu())
def f(x): return net({}, x).sum() - net({}, -x).sum()
--
net.layers["r"] = layers.leaky_relu(negative_slope=0.5)
net.layers["s"] = lambda x: 5.0*x
== a layer's option in a function
T = [layers.leaky_relu(negative_slope=0.5)]
def f(x): return -T[0](-x).sum()
--
T[0] = layers.leaky_relu(negative_slope=0.25)
== a formula
T = {"f": pullback.define("Y[i] = 2*X[i]")}
def f(x): return T["f"](x).sum()
--
T["f"] = pullback.define("Y[i] = 3*X[i]")
== a helper replaced in its module
m = types.ModuleType("m")
exec("def helper(x): return 2*x", m.__dict__)
def f(x): return m.helper(x).sum()
--
m.helper = lambda x: 3*x
== a global of a helper's module
m = types.ModuleType("m")
exec("S = 2.0\\ndef helper(x): return S*x", m.__dict__)
helper = m.helper
def f(x): return helper(x).sum()
--
m.S = 3.0
== an attribute that a module computes
m = types.ModuleType("m")
exec("S = [2.0]\\ndef __getattr__(name): return S[0]", m.__dict__)
def f(x): return (x*m.anything).sum()
--
m.S[0] = 3.0
== a NumPy function replaced
before = np.tanh
def f(x): return (x*np.tanh(np.ones(1))).sum()
--
np.tanh = lambda x: x*3.0
== a built-in function replaced
import builtins
def f(x): return (x*float(round(2.4))).sum()
--
builtins.round = lambda v: 7
== a NumPy function that is a captured value
g = np.sin
def f(x): return (x*g(np.ones(1))).sum()
--
g = np.cos
== code replaced
def g(x): return 2*x
def f(x): return g(x).sum()
--
g.__code__ = (lambda x: 3*x).__code__
== a default argument changed in place
def f(x, w=[2.0]): return (x*w[0]).sum()
--
f.__defaults__[0][0] = 3.0
== a keyword default replaced
def f(x, *, w=2.0): return (x*w).sum()
--
f.__kwdefaults__["w"] = 3.0
== an attribute of a function
def f(x): return (x*f.w).sum()
f.w = 2.0
--
f.w = 3.0
== a closure rebound through nonlocal
def make():
    w = 2.0
    def f(x): return (x*w).sum()
    def change():
        nonlocal w
        w += 1.0
    return f, change
f, change = make()
--
change()
== a counter in a closure
def make():
    n = 0
    def f(x):
        nonlocal n
        n += 1
        return (x*n).sum()
    return f
f = make()
--
pass
== a global counter
N = 0
def f(x):
    global N
    N += 1
    return (x*N).sum()
--
pass
== a counter in a helper's inner function
def make():
    n = 0
    def step():
        nonlocal n
        n += 1
        return n
    return lambda x: (x*step()).sum()
f = make()
--
pass
== a state that the call changes
state = {"i": 0}
B = [1.0, 2.0, 3.0]
def f(x):
    b = B[state["i"]]
    state["i"] = (state["i"] + 1) % 3
    return (x*b).sum()
--
state["i"] = 2
== a state that every second call changes
state = {"i": 0, "n": 0}
def f(x):
    state["n"] = 1 - state["n"]
    state["i"] += state["n"]
    return (x*(1 + state["i"])).sum()
--
state["i"] += 5
== a list that the call appends to
T = []
def f(x):
    T.append(1)
    return (x*len(T)).sum()
--
T.clear()
== an array that the call changes
W = np.array([1.0])
def f(x):
    W[0] += 1
    return (x*W).sum()
--
W[0] = 7.0
== a memory of results
T = {}
S = 2.0
def f(x):
    if "w" not in T: T["w"] = S
    return (x*T["w"]).sum()
--
S = 3.0
T.clear()
== functools.lru_cache
S = 2.0
@functools.lru_cache
def g(n): return n*S
def f(x): return (x*g(2)).sum()
--
S = 3.0
g.cache_clear()
== an array in functools.lru_cache, changed in place
@functools.lru_cache
def g(n): return np.full(n, 2.0)
def f(x): return (x*g(1)).sum()
--
g(1)[:] = 5.0
== a generator
g = (float(n) for n in itertools.count(1))
def f(x): return (x*next(g)).sum()
--
next(g)
== an iterator that ends
g = iter([2.0])
def f(x): return (x*(1.0 + sum(g))).sum()
--
g = iter([4.0])
== itertools.count
g = itertools.count(1)
def f(x): return (x*next(g)).sum()
--
next(g)
== itertools.cycle in a loop
g = itertools.cycle([1.0, 2.0, 3.0])
def f(x):
    for w in g:
        return (x*w).sum()
--
next(g)
== an iterator written in Python
class Count:
    n = 0
    def __iter__(self): return self
    def __next__(self):
        self.n += 1
        return self.n
g = Count()
def f(x): return (x*next(g)).sum()
--
next(g)
== an open file
import io
T = io.StringIO("1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n")
def f(x): return (x*float(T.readline())).sum()
--
T.readline()
== an environment variable
os.environ["PULLBACK_TEST_W"] = "2"
def f(x): return (x*float(os.environ["PULLBACK_TEST_W"])).sum()
--
os.environ["PULLBACK_TEST_W"] = "3"
== a context variable
import contextvars
T = contextvars.ContextVar("T", default=2.0)
def f(x): return (x*T.get()).sum()
--
T.set(3.0)
== a thread's own variable
import threading
T = threading.local()
T.w = 2.0
def f(x): return (x*T.w).sum()
--
T.w = 3.0
== a weak reference
import weakref
class Box: w = 2.0
box = Box()
T = weakref.ref(box)
def f(x): return (x*(T().w)).sum()
--
box.w = 3.0
== NumPy's error state
W = np.zeros(1)
def f(x):
    try: return (x*np.nan_to_num(np.divide(W, W), nan=2.0)).sum()
    except FloatingPointError: return (x*3.0).sum()
np.seterr(all="ignore")
--
np.seterr(all="raise")
== NumPy's way of printing
W = np.array([1.23456789])
def f(x): return (x*float(str(W)[1:-1])).sum()
--
np.set_printoptions(precision=2)
== NumPy's way of printing in a format
W = np.array([1.23456789])
def f(x): return (x*float(f"{W}"[1:-1])).sum()
--
np.set_printoptions(precision=2)
== a warning that is an error
import warnings
warnings.simplefilter("ignore")
W = np.zeros(1)
def f(x):
    try: return (x*np.nan_to_num(W/W, nan=2.0)).sum()
    except RuntimeWarning: return (x*3.0).sum()
--
warnings.simplefilter("error")
== globals()
S = 2.0
def f(x): return (x*globals()["S"]).sum()
--
S = 3.0
== eval
S = 2.0
def f(x): return (x*eval("S")).sum()
--
S = 3.0
== a function's globals
S = 2.0
def g(): pass
def f(x): return (x*g.__globals__["S"]).sum()
--
S = 3.0
== a generator's frame
S = 2.0
def f(x): return (x*(n for n in ()).gi_frame.f_globals["S"]).sum()
--
S = 3.0
== a traceback's frame
S = 2.0
def f(x):
    try: raise ValueError
    except ValueError as error: return (x*error.__traceback__.tb_frame.f_globals["S"]).sum()
--
S = 3.0
== vars of an object
class T: pass
t = T()
t.w = 2.0
def f(x): return (x*vars(t)["w"]).sum()
--
t.w = 3.0
== the dict of an object
class T:
    def __getattr__(self, name): return self.__dict__["w"]
t = T()
t.w = 2.0
def f(x): return (x*t.anything).sum()
--
t.w = 3.0
== an attribute of an object
class T:
    def __init__(self): self.w = 2.0
    def __call__(self, x): return x*self.w
t = T()
def f(x): return t(x).sum()
--
t.w = 3.0
== an attribute of an object that hides its class's
class T: w = 2.0
t = T()
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== an attribute of a class
class T: w = 2.0
t = T()
def f(x): return (x*t.w).sum()
--
T.w = 3.0
== an attribute of a base class that is hidden by a new one
class A: w = 2.0
class B(A): pass
t = B()
def f(x): return (x*t.w).sum()
--
B.w = 3.0
== the bases of a class
class A: w = 2.0
class C: w = 3.0
class B(A): pass
t = B()
def f(x): return (x*t.w).sum()
--
B.__bases__ = (C,)
== the class of an object
class A: w = 2.0
class B: w = 3.0
t = A()
def f(x): return (x*t.w).sum()
--
t.__class__ = B
== a slot
class T: __slots__ = ("w",)
t = T()
t.w = 2.0
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== a slot of a base
class A: __slots__ = ("w",)
class T(A): pass
t = T()
t.w = 2.0
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== a property
W = [2.0]
class T:
    @property
    def w(self): return W[0]
t = T()
def f(x): return (x*t.w).sum()
--
W[0] = 3.0
== a cached property
class T:
    s = 2.0
    @functools.cached_property
    def w(self): return self.s
t = T()
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== a subclass of property
class P(property):
    def __get__(self, one, kind=None): return self.fget(one)*S
S = 1.0
class T:
    @P
    def w(self): return 2.0
t = T()
def f(x): return (x*t.w).sum()
--
S = 3.0
== a descriptor
class D:
    def __init__(self): self.v = 2.0
    def __get__(self, one, kind=None): return self.v
class T: w = D()
t = T()
def f(x): return (x*t.w).sum()
--
vars(T)["w"].v = 3.0
== __getattr__
W = [2.0]
class T:
    def __getattr__(self, name): return W[0]
t = T()
def f(x): return (x*t.w).sum()
--
W[0] = 3.0
== __getattribute__
W = [2.0]
class T:
    def __getattribute__(self, name): return W[0]
t = T()
def f(x): return (x*t.w).sum()
--
W[0] = 3.0
== __getattr__ of a metaclass
W = [2.0]
class M(type):
    def __getattr__(cls, name): return W[0]
class T(metaclass=M): pass
def f(x): return (x*T.w).sum()
--
W[0] = 3.0
== a method that a class is given later
class T:
    def __len__(self): return 2
t = T()
def f(x): return (x*(1.0 + bool(t))).sum()
--
T.__bool__ = lambda self: False
== __getitem__
W = [2.0]
class T:
    def __getitem__(self, key): return W[0]
t = T()
def f(x): return (x*t[1]).sum()
--
W[0] = 3.0
== arithmetic
W = [2.0]
class T:
    __array_ufunc__ = None
    def __rmul__(self, x): return x*W[0]
t = T()
def f(x): return (x*t).sum()
--
W[0] = 3.0
== __array__
class T:
    w = np.ones(1)
    def __array__(self, dtype=None, copy=None): return self.w
t = T()
def f(x): return (x*np.asarray(t)).sum()
--
t.w = np.full(1, 3.0)
== __float__
W = [2.0]
class T:
    def __float__(self): return W[0]
t = T()
def f(x): return (x*float(t)).sum()
--
W[0] = 3.0
== __iter__ and __len__
W = [2.0]
class T:
    def __iter__(self): return iter(W)
t = T()
def f(x): return (x*sum(t)).sum()
--
W.append(3.0)
== __repr__ in a format
W = [2.0]
class T:
    def __repr__(self): return str(W[0])
t = T()
def f(x): return (x*float(f"{t!r}")).sum()
--
W[0] = 3.0
== __eq__ and __hash__ as a key
W = [1]
class T:
    def __hash__(self): return 1
    def __eq__(self, other): return W[0] == 1
t, D = T(), {T(): 2.0}
def f(x): return (x*(D.get(t, 5.0))).sum()
--
W[0] = 2
== a method of a class
class T:
    def g(self, x): return 2*x
t = T()
def f(x): return t.g(x).sum()
--
T.g = lambda self, x: 3*x
== a bound method of an object
class T:
    w = 2.0
    def g(self, x): return (x*self.w).sum()
t = T()
f = t.g
--
t.w = 3.0
== a static method's global
S = 2.0
class T:
    @staticmethod
    def g(x): return S*x
def f(x): return T.g(x).sum()
--
S = 3.0
== a class method's class
class T:
    w = 2.0
    @classmethod
    def g(cls, x): return cls.w*x
def f(x): return T.g(x).sum()
--
T.w = 3.0
== super
class A:
    w = 2.0
    def g(self, x): return self.w*x
class T(A):
    def g(self, x): return super().g(x)
t = T()
def f(x): return t.g(x).sum()
--
A.g = lambda self, x: 5*x
== a constructor
class T:
    def __init__(self): self.w = S
S = 2.0
def f(x): return (x*T().w).sum()
--
S = 3.0
== the constructor of an object's class
class T:
    def __init__(self): self.w = S
S = 2.0
t = T()
def f(x): return (x*type(t)().w).sum()
--
S = 3.0
== a data class
@dataclasses.dataclass
class T:
    w: float
t = T(2.0)
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== a frozen data class changed by force
@dataclasses.dataclass(frozen=True)
class T:
    w: float
t = T(2.0)
def f(x): return (x*t.w).sum()
--
object.__setattr__(t, "w", 3.0)
== the default of a data class's field
@dataclasses.dataclass
class T:
    w: float = 2.0
def f(x): return (x*T().w).sum()
--
T.__init__.__defaults__ = (3.0,)
== a data class with slots
@dataclasses.dataclass(slots=True)
class T:
    w: float
t = T(2.0)
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== a named tuple
T = collections.namedtuple("T", "w v")
t = T(2.0, [1.0])
def f(x): return (x*t.w*t.v[0]).sum()
--
t.v[0] = 3.0
== an enumeration's value
class T(enum.Enum):
    A = [2.0]
def f(x): return (x*T.A.value[0]).sum()
--
T.A.value[0] = 3.0
== a method of an enumeration
class T(enum.Enum):
    A = 1
    def w(self): return S
S = 2.0
t = T.A
def f(x): return (x*t.w()).sum()
--
S = 3.0
== an abstract class's registry
import abc
class T(abc.ABC): pass
class U: pass
t = U()
def f(x): return (x*(2.0 if isinstance(t, T) else 3.0)).sum()
--
T.register(U)
== a partial changed through its keywords
g = functools.partial(lambda x, w: w*x, w=2.0)
def f(x): return g(x).sum()
--
g.keywords["w"] = 3.0
== a partial's function
g = functools.partial(lambda x: 2*x)
def f(x): return g(x).sum()
--
g = functools.partial(lambda x: 3*x)
== functools.singledispatch
@functools.singledispatch
def g(v): return 2.0
def f(x): return (x*g(1)).sum()
--
g.register(int, lambda v: 3.0)
== a method found by operator.methodcaller
class T:
    def w(self): return S
S = 2.0
t, g = T(), operator.methodcaller("w")
def f(x): return (x*g(t)).sum()
--
S = 3.0
== a function in a dict by name
T = {"g": lambda x: 2*x}
def f(x): return T["g"](x).sum()
--
T["g"] = lambda x: 3*x
== a lambda in a list's sort
T = [2.0, 3.0]
K = [1.0]
def f(x): return (x*sorted(T, key=lambda v: v*K[0])[0]).sum()
--
K[0] = -1.0
== what a comprehension reads
T = [1.0, 2.0]
S = 2.0
def f(x): return sum((x*w*S).sum() for w in T)
--
S = 3.0
== what a class inside the function reads
S = 2.0
def f(x):
    class T:
        w = S
    return (x*T.w).sum()
--
S = 3.0
== the clock
import time
T = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
time.monotonic_ns = lambda: next(T)
def f(x): return (x*time.monotonic_ns()).sum()
--
pass
== a pattern of objects
class T:
    __match_args__ = ("w",)
t = T()
t.w = 2.0
def f(x):
    match t:
        case T(w): return (x*w).sum()
--
t.w = 3.0
== a path to a file
import pathlib, tempfile
T = pathlib.Path(tempfile.mkdtemp())/"w"
T.write_text("2")
def f(x): return (x*float(T.read_text())).sum()
--
T.write_text("3")
== a copied object
class T: pass
t = T()
t.w = 2.0
def f(x): return (x*vars(copy.copy(t))["w"]).sum()
--
t.w = 3.0
== a pandas-like table of the user's own
class Table(dict):
    def column(self, name): return self[name]
t = Table(w=2.0)
def f(x): return (x*t.column("w")).sum()
--
t["w"] = 3.0
== a list of the user's own
class L(list): pass
t = L([2.0])
def f(x): return (x*t[0]).sum()
--
t[0] = 3.0
== an int of the user's own
class I(int): w = 2.0
t = I(1)
def f(x): return (x*t.w).sum()
--
t.w = 3.0
== an attribute found by str.format
class T: pass
t = T()
t.w = 2.0
def f(x): return (x*float("{0.w}".format(t))).sum()
--
t.w = 3.0
== a global found by str.format
S = 2.0
def g(): pass
def f(x): return (x*float("{0.__globals__[S]}".format(g))).sum()
--
S = 3.0
== a method that NumPy calls
class T:
    def sum(self, axis=None, out=None, **more): return S
S = 2.0
t = T()
def f(x): return (x*np.sum(t)).sum()
--
S = 3.0
== a variable that is filled later
def make():
    def f(x):
        try: return (x*(2.0 if w is None else 3.0)).sum()
        except NameError: return (x*5.0).sum()
    def change():
        nonlocal w
        w = None
    if 0: w = 1
    return f, change
f, change = make()
--
change()
== a slot that is filled later
class T: __slots__ = ("w",)
t = T()
def f(x):
    try: return (x*(2.0 if t.w is None else 3.0)).sum()
    except AttributeError: return (x*5.0).sum()
--
t.w = None
== an attribute hidden behind __getattribute__
class T:
    w = None
    def __getattribute__(self, name): return object.__getattribute__(self, "h" + "id")[0]
t = T()
t.hid = [2.0]
def f(x): return (x*t.w).sum()
--
T.hid = property(lambda self: [3.0])
== an object's dict behind __getattribute__
class T:
    w = None
    def __getattribute__(self, name): return object.__getattribute__(self, "__dict__")["hid"]
t = T()
t.hid = 2.0
def f(x): return (x*t.w).sum()
--
t.hid = 3.0
== __setattr__ of the user's
class T:
    def __setattr__(self, name, value): object.__setattr__(self, name, value*S)
S = 2.0
t = T()
def f(x):
    t.w = 1.0
    return (x*t.w).sum()
--
S = 3.0
== a frozen data class made in the call
@dataclasses.dataclass(frozen=True)
class T:
    w: float
    v: list = dataclasses.field(default_factory=lambda: [S])
S = 2.0
def f(x): return (x*T(1.0).v[0]).sum()
--
S = 3.0
== the time of day
import datetime
T = datetime.datetime(2000, 1, 1, 0, 0, 0, 11)
def f(x): return (x*T.microsecond).sum()
--
T = datetime.datetime(2000, 1, 1, 0, 0, 0, 77)
== a class attribute that the call counts up
class T: n = 0
def f(x):
    T.n += 1
    return (x*T.n).sum()
--
T.n = 7
== a generic class's attribute
import typing
V = typing.TypeVar("V")
class T(typing.Generic[V]): w = 2.0
t = T()
def f(x): return (x*t.w).sum()
--
T.w = 3.0
== an implementation of a protocol
import typing
class P(typing.Protocol):
    def w(self): ...
class T(P):
    def w(self): return S
S = 2.0
t = T()
def f(x): return (x*t.w()).sum()
--
S = 3.0
== a runtime-checkable protocol
import typing
@typing.runtime_checkable
class P(typing.Protocol):
    def w(self): ...
class T: pass
t = T()
def f(x): return (x*(2.0 if isinstance(t, P) else 3.0)).sum()
--
T.w = lambda self: 1
== a context manager of the user's
import contextlib
@contextlib.contextmanager
def c(): yield S
S = 2.0
def f(x):
    with c() as s: return (x*s).sum()
--
S = 3.0
== total ordering
@functools.total_ordering
class T:
    def __lt__(self, other): return S > 2
    def __eq__(self, other): return False
S = 2.0
t, u = T(), T()
def f(x): return (x*(2.0 if t >= u else 3.0)).sum()
--
S = 3.0
== a helper of another helper's closure
def make(g): return lambda x: g(x)
W = [2.0]
f = make(make(make(lambda x: (x*W[0]).sum())))
--
W[0] = 3.0
== a function kept in a function's attribute
def f(x): return f.helper(x).sum()
f.helper = lambda x: 2*x
--
f.helper = lambda x: 3*x
== a tuple of arrays in an object in a list
class T: pass
t = T()
t.parts = [(np.ones(1), np.ones(1))]
def f(x): return sum((x*a*b).sum() for a, b in t.parts)
--
t.parts[0][1][:] = 3.0
== two attributes that are exchanged
class T: pass
t = T()
t.a, t.b = 2.0, 3.0
def f(x): return (x*(t.a**2 + t.b)).sum()
--
t.a, t.b = t.b, t.a
== a table of functions changed through another name
T = {"g": np.sin}
U = T
def f(x): return (x*T["g"](np.ones(1))).sum()
--
U["g"] = np.cos
== a dtype that NumPy asks an object for
class T: pass
t = T()
t.dtype = np.dtype("f4")
def f(x): return (x*np.zeros(1, dtype=t).itemsize).sum()
--
t.dtype = np.dtype("f8")
== the shape that NumPy asks an object for
class T: pass
t = T()
t.shape = (2,)
def f(x): return (x*np.shape(t)[0]).sum()
--
t.shape = (3,)
== the dict of an object of a class without __getattr__
class T: pass
t = T()
t.w = 2.0
def f(x): return (x*t.__dict__["w"]).sum()
--
t.w = 3.0
== a special method called by name
class T:
    def __copy__(self): return S
S = 2.0
t = T()
def f(x): return (x*t.__copy__()).sum()
--
S = 3.0
== an attribute of an enumeration's member
class T(enum.Enum):
    A = 1
    def __init__(self, v): self.w = 2.0
def f(x): return (x*T.A.w).sum()
--
T.A.w = 3.0
== members of an enumeration in a loop
class T(enum.Enum):
    A = [1.0]
    B = [2.0]
def f(x): return (x*sum(m.value[0] for m in T)).sum()
--
T.B.value[0] = 3.0
== __class_getitem__
class T:
    def __class_getitem__(cls, key): return S
S = 2.0
def f(x): return (x*T[0]).sum()
--
S = 3.0
== __subclasshook__
import abc
class T(abc.ABC):
    @classmethod
    def __subclasshook__(cls, other): return S > 2
S = 2.0
def f(x): return (x*(2.0 if isinstance(1, T) else 3.0)).sum()
--
S = 3.0
T.register(complex)
== __init_subclass__
class T:
    def __init_subclass__(cls): cls.w = S
S = 2.0
def f(x):
    class U(T): pass
    return (x*U.w).sum()
--
S = 3.0
== dataclasses.replace
@dataclasses.dataclass
class T:
    w: float
    def __post_init__(self): self.w = self.w*S
S = 1.0
t = T(2.0)
def f(x): return (x*dataclasses.replace(t, w=2.0).w).sum()
--
S = 3.0
== the name of a class
class T: pass
def f(x): return (x*len(T.__name__)).sum()
--
T.__name__ = "Longer"
== the name of a function
def g(): pass
def f(x): return (x*len(g.__name__)).sum()
--
g.__name__ = "longer"
== memory beside an array
B = np.arange(4.0)
W = B[1:2]
def f(x): return (x*np.lib.stride_tricks.as_strided(W, (2,))[1]).sum()
--
B[2] = 9.0
== an array's text by its own method
W = np.array([1.23456789])
def f(x): return (x*float(W.__str__()[1:-1])).sum()
--
np.set_printoptions(precision=2)
== which arrays are one
A = np.ones(1)
B = np.ones(1)
def f(x): return (x*(2.0 if A is B else 3.0)).sum()
--
B = A
== a record of an array
A = np.zeros(1, [("a", "f8")])
W = A[0]
def f(x): return (x*(1 + W["a"])).sum()
--
A["a"] = 3.0
== a table read through a helper's default and a partial of a method
class T:
    def __init__(self): self.w = {"a": np.ones(1)}
    def g(self, k, x): return x*self.w[k]
t = T()
def h(x, g=functools.partial(t.g, "a")): return g(x)
def f(x): return h(x).sum()
--
t.w["a"] = np.full(1, 3.0)
== a value that an enumeration doesn't have
class Color(enum.Enum):
    RED = 2.0
    BLUE = 3.0
    @classmethod
    def _missing_(cls, value): return cls.RED if S < 2 else cls.BLUE
S = 1.0
def f(x): return (x*Color(7).value).sum()
--
S = 5.0
== what an enumeration does with a value that it doesn't have
class Color(enum.Enum):
    RED = 2.0
    BLUE = 3.0
    @classmethod
    def _missing_(cls, value): return cls.RED
def f(x): return (x*Color(7).value).sum()
--
Color._missing_ = classmethod(lambda cls, value: cls.BLUE)
== a class that is registered as a mapping, in a pattern
import collections.abc
class T:
    def keys(self): return ["w"]
    def get(self, key, other=None): return 2.0
    def __len__(self): return 1
    def __getitem__(self, key): return 2.0
t = T()
def f(x):
    match t:
        case {"w": w}: return (x*w).sum()
        case _: return (x*3.0).sum()
--
collections.abc.Mapping.register(T)
== a class that is registered as a sequence, in a pattern
import collections.abc
class T:
    def __len__(self): return 1
    def __getitem__(self, n): return (2.0,)[n]
t = T()
def f(x):
    match t:
        case [w]: return (x*w).sum()
        case _: return (x*3.0).sum()
--
collections.abc.Sequence.register(T)
""")
