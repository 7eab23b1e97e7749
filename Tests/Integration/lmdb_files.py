"""LMDB's files by its own library: for tests that do to a store what the daemon never would."""

import contextlib
import ctypes
import ctypes.util
import struct

from harness import need


class _Value(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_void_p)]


def _library():
    for name in ("liblmdb.so.0", "liblmdb.so", ctypes.util.find_library("lmdb")):
        try:
            return ctypes.CDLL(name)
        except (OSError, TypeError):
            continue
    return None


_FIRST, _NEXT, _READ_ONLY = 0, 8, 0x20000


class Environment:
    """One folder, opened for as long as the value is used; nobody else may have it open."""

    def __init__(self, folder):
        self.library = _library()
        need(self.library, "liblmdb is not installed")
        self.handle = ctypes.c_void_p()
        self._do("mdb_env_create", ctypes.byref(self.handle))
        self._do("mdb_env_set_maxdbs", self.handle, ctypes.c_uint(32))
        self._do("mdb_env_set_mapsize", self.handle, ctypes.c_size_t(1 << 30))
        self._do("mdb_env_open", self.handle, str(folder).encode(), ctypes.c_uint(0), ctypes.c_uint(0o600))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.mdb_env_close(self.handle)

    def _do(self, name, *arguments):
        result = getattr(self.library, name)(*arguments)
        if result:
            raise OSError(f"{name}: {result}")

    def _begin(self, name):
        transaction, database = ctypes.c_void_p(), ctypes.c_uint()
        self._do("mdb_txn_begin", self.handle, None, ctypes.c_uint(0), ctypes.byref(transaction))
        self._do("mdb_dbi_open", transaction, name.encode(), ctypes.c_uint(0), ctypes.byref(database))
        return transaction, database

    def read(self, name):
        """Everything in a database: {key: value}."""
        transaction, database = self._begin(name)
        cursor, key, value, found = ctypes.c_void_p(), _Value(), _Value(), {}
        self._do("mdb_cursor_open", transaction, database, ctypes.byref(cursor))
        step = _FIRST
        while not self.library.mdb_cursor_get(cursor, ctypes.byref(key), ctypes.byref(value), ctypes.c_uint(step)):
            found[ctypes.string_at(key.data, key.size)] = ctypes.string_at(value.data, value.size)
            step = _NEXT
        self.library.mdb_cursor_close(cursor)
        self._do("mdb_txn_commit", transaction)
        return found

    def write(self, name, entries):
        """Sets values, and removes those that are None."""
        transaction, database = self._begin(name)
        for key, value in entries.items():
            name_value = _Value(len(key), ctypes.cast(ctypes.c_char_p(key), ctypes.c_void_p))
            if value is None:
                self._do("mdb_del", transaction, database, ctypes.byref(name_value), None)
            else:
                data = _Value(len(value), ctypes.cast(ctypes.c_char_p(value), ctypes.c_void_p))
                self._do("mdb_put", transaction, database, ctypes.byref(name_value), ctypes.byref(data),
                         ctypes.c_uint(0))
        self._do("mdb_txn_commit", transaction)

    @contextlib.contextmanager
    def writing(self):
        """Nobody else can write meanwhile; here nothing is written either."""
        transaction, _ = self._begin("state")
        try:
            yield
        finally:
            self.library.mdb_txn_abort(transaction)


def activate_again(folder, count):
    """What decides in a store decides that many times more, each time with an entry of the log, as if applied again."""
    with Environment(folder) as environment:
        active = environment.read("state")[b"active"]
        first = struct.unpack("<Q", active[:8])[0] + 1
        records = {number: struct.pack("<Q", number) + active[8:] for number in range(first, first + count)}
        entries = {b"n" + struct.pack(">Q", number): record for number, record in records.items()}
        environment.write("state", {**entries, b"active": records[first + count - 1]})


def logged(folder):
    """The numbers of a store's log of activations."""
    with Environment(folder) as environment:
        keys = environment.read("state")
    return sorted(struct.unpack(">Q", key[1:])[0] for key in keys if key[:1] == b"n" and len(key) == 9)
