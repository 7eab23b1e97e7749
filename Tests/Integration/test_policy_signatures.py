"""`serve --require-signatures`: nobody changes what decides alone, and nothing goes round the signatures. What is
wrong is refused, each with its own reason, while the old policy serves on."""

import base64
import hashlib
import json
import pathlib
import shutil
import signal
import struct
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from daemon import POLICY, SERVE, Stage, cli
from harness import request, wait_until
from lmdb_files import Environment

NARROW = POLICY.replace("match: GET /orders, scopes: orders:read", "match: GET /orders, scopes: orders:admin")
OTHER = POLICY + "# another\n"
SIGNED = SERVE + 'policy_signatures: {{ require: 2, trusted_keys: "{folder}/trusted/jwks.json" }}\n'


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Person:
    """A signer whose signatures come from python3-cryptography as well as from the command."""

    def __init__(self, stage, name):
        self.name = name
        self.private = ed25519.Ed25519PrivateKey.generate()
        raw = serialization.Encoding.Raw
        x = self.private.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
        d = self.private.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "kid": name, "x": b64(x)}
        self.key = stage.write(f"keys/{name}.jwk", json.dumps({**self.jwk, "d": b64(d)}))

    def signature(self, statement):
        return {"kid": self.name, "signature": b64(self.private.sign(statement.encode()))}


def version_of(text):
    return hashlib.sha256(b"scopecheck policy source 1\n" + text.encode()).hexdigest()


def apply_text(version, serial):
    return f"scopecheck policy statement 1\naction apply\nversion {version}\nserial {serial}\n"


def rollback_text(version, serial, source, source_serial):
    return (f"scopecheck policy statement 1\naction rollback\nversion {version}\nserial {serial}\n"
            f"from {source}\nfrom-serial {source_serial}\n")


class Signed(Stage):
    def __init__(self, config=SIGNED, **options):
        super().__init__()
        self.people = [Person(self, name) for name in ("alice", "bo", "carol")]
        self.stranger = Person(self, "mallory")
        self.write("trusted/jwks.json", json.dumps({"keys": [one.jwk for one in self.people]}))
        # Relative key files start at the folder of the trusted keys, whatever whoever applies says.
        self.write("trusted/issuer.json", (self.folder / "jwks.json").read_text())
        self.texts = {}
        for name, text in (("wide", POLICY), ("narrow", NARROW), ("other", OTHER)):
            self.texts[name] = text.replace("jwks.json", "issuer.json")
            self.write(f"{name}.yaml", self.texts[name])
        self.service = self.daemon(config=config, **options)
        self.serial = 1_000

    def version(self, name):
        return version_of(self.texts[name])

    def file(self, statement, *people, name="signatures.json"):
        return self.write(name, json.dumps({
            "statement": statement, "signatures": [one.signature(statement) for one in people]}))

    def place(self):
        return ["--admin", self.service.admin]

    def apply(self, name, *arguments, check=0):
        code, out, error = cli("policy", "apply", self.folder / f"{name}.yaml", "-m", name, *self.place(), "--json",
                               *arguments)
        assert code == check, (code, out, error)
        return json.loads(out) if code == 0 else error

    def apply_signed(self, name, *more, serial=None, people=None):
        self.serial = serial or self.serial + 10
        file = self.file(apply_text(self.version(name), self.serial), *(people or self.people[:2]))
        return self.apply(name, "--signatures", file, *more)

    def refused(self, reason, name, *arguments):
        """Refused for that reason, with the policy in force serving on."""
        before = self.label(), self.status_of()
        error = self.apply(name, *arguments, check=1)
        assert f"refused ({reason})" in error, error
        assert f"): {reason.split('_')[0]}" not in error, error
        assert (self.label(), self.status_of()) == before, error

    def rollback(self, *arguments, check=0):
        code, out, error = cli("policy", "rollback", *arguments, "-m", "back", *self.place(), "--json")
        assert code == check, (code, out, error)
        return json.loads(out) if code == 0 else error

    def label(self):
        return self.service.policy_label()

    def status_of(self):
        return self.service.ask("/v1/orders", token=self.token()).status

    def not_accepted(self, reason):
        """After a start: nothing decides, and it says why."""
        assert self.status_of() == 503
        policy = self.service.status()["policy"]
        assert policy["not_accepted"] == reason and "number" not in policy, policy
        assert self.service.events("policy_not_accepted")[-1]["reason"] == reason


# --- refusals ------------------------------------------------------------------------------------------------

def test_every_refusal_has_its_reason():
    with Signed() as stage:
        alice, bo, carol = stage.people
        assert stage.status_of() == 503
        stage.refused("unsigned", "wide")
        first = stage.apply_signed("wide")
        assert first["number"] == 1 and stage.status_of() == 200
        narrow, serial = stage.version("narrow"), stage.serial + 1
        statement = apply_text(narrow, serial)

        def refused(reason, text, *people):
            stage.refused(reason, "narrow", "--signatures", stage.file(text, *people))

        stage.refused("unsigned", "narrow")
        refused("unsigned", statement)
        refused("too_few_signatures", statement, alice)
        refused("unknown_key", statement, alice, stage.stranger)
        refused("unknown_key", statement, stage.stranger)
        # For something else, or a signature of somebody else under a trusted name.
        refused("wrong_version", apply_text(stage.version("other"), serial), alice, bo)
        for forged in (alice.signature(apply_text(narrow, serial + 1)), stage.stranger.signature(statement),
                       {"kid": "alice", "signature": b64(bytes(64))}):
            path = stage.write("forged.json", json.dumps({
                "statement": statement, "signatures": [{**forged, "kid": "alice"}, bo.signature(statement)]}))
            stage.refused("bad_signature", "narrow", "--signatures", path)
        # One person twice is one person.
        path = stage.write("twice.json", json.dumps({
            "statement": statement, "signatures": [alice.signature(statement)] * 2}))
        stage.refused("malformed_signatures", "narrow", "--signatures", path)
        refused("wrong_action", rollback_text(narrow, serial, first["version"], stage.serial), alice, bo)
        # As old as what was accepted, or older.
        for old in (stage.serial, stage.serial - 1, 1):
            refused("replayed_serial", apply_text(narrow, old), alice, bo)
        for text in (statement.upper(), statement + "\n", statement.replace("serial ", "serial 0"),
                     statement.replace("action apply\n", ""), statement.replace("statement 1", "statement 2"),
                     statement + "serial 9\n", statement.replace("\n", "\r\n"), apply_text(narrow, 0),
                     apply_text(narrow, 1 << 63), apply_text(narrow[:-1], serial), "", "x" * 600):
            refused("malformed_signatures", text, alice, bo)
        for text in ("", "{}", "[]", "{", json.dumps({"statement": statement}),
                     json.dumps({"statement": statement, "signatures": {}, "more": 1}),
                     json.dumps({"statement": statement, "signatures": [{"kid": "alice"}]}),
                     json.dumps({"statement": statement, "signatures": [{"kid": "", "signature": b64(bytes(64))}]}),
                     json.dumps({"statement": statement,
                                 "signatures": [{"kid": "alice", "signature": b64(bytes(63))}]})):
            stage.refused("malformed_signatures", "narrow", "--signatures", stage.write("odd.json", text))
        reasons = {one["reason"] for one in stage.service.events("policy_change_refused")}
        assert {"unsigned", "unknown_key", "bad_signature", "too_few_signatures", "wrong_version",
                "replayed_serial"} <= reasons, reasons
        # And after all of them the right one is taken, by any two.
        second = stage.apply("narrow", "--signatures", stage.file(statement, carol, stage.stranger, bo))
        assert second["number"] == 2 and stage.status_of() == 403
        stage.refused("replayed_serial", "narrow", "--signatures", stage.folder / "signatures.json")
        policy = stage.service.status()["policy"]
        assert (policy["required_signatures"], policy["trusted_keys"], policy["serial"]) == (2, 3, serial), policy


def test_no_way_round():
    """Policy files, SIGHUP, the files of the store and the admin socket by hand."""
    with Signed() as stage:
        first = stage.apply_signed("wide")
        daemon = stage.service
        daemon.process.signal(signal.SIGHUP)
        wait_until(lambda: daemon.events("trusted_keys_unchanged"), "SIGHUP reads the trusted keys and no policy")
        # By hand, what the command would not send.
        line = json.dumps({"folder": str(stage.folder), "author": "root"}).encode() + b"\n"
        body = line + stage.texts["narrow"].encode()
        kind = [("Content-Type", "application/octet-stream")]
        answer = request(daemon.admin, "/policy/versions", "POST", "localhost", headers=kind, body=body)
        assert (answer.status, answer.json()["reason"]) == (403, "unsigned"), answer
        answer = request(daemon.admin, "/policy/rollback", "POST", "localhost", headers=kind, body=b"{}")
        assert answer.status in (403, 404), answer
        # A version that is there, because it was staged, is not one that may decide.
        staged = stage.apply("narrow", "--stage")
        assert staged["staged"]
        answer = request(daemon.admin, "/policy/rollback", "POST", "localhost", headers=kind,
                         body=json.dumps({"version": staged["version"]}).encode())
        assert (answer.status, answer.json()["reason"]) == (403, "unsigned"), answer
        stage.refused("unsigned", "narrow")
        assert stage.label() == first["label"]
        # A folder that whoever applies names does not say where keys come from: no jwks lies there.
        stage.write("elsewhere/issuer.json", '{"keys":[]}')
        stage.write("elsewhere/other.yaml", stage.texts["other"])
        stage.serial += 10
        file = stage.file(apply_text(stage.version("other"), stage.serial), *stage.people)
        cli("policy", "apply", stage.folder / "elsewhere/other.yaml", "-m", "x", *stage.place(), "--signatures", file,
            check=0)
        assert stage.status_of() == 200
        # In the files, while no daemon runs: the command wants signatures too, and the daemon looks at them.
        assert daemon.terminate() == 0
        store = ["--store", stage.folder / "store"]
        code, _, error = cli("policy", "apply", stage.folder / "narrow.yaml", "-m", "x", *store)
        assert code == 1 and "unsigned" in error, error
        statement = apply_text(stage.version("narrow"), stage.serial + 10)
        cli("policy", "apply", stage.folder / "narrow.yaml", "-m", "x", *store, "--signatures",
            stage.file(statement, stage.stranger, stage.people[0]), check=0)
        daemon.start()
        stage.not_accepted("unknown_key")
        # Mended by what was signed.
        stage.serial += 20
        stage.apply_signed("narrow")
        assert stage.status_of() == 403 and "not_accepted" not in daemon.status()["policy"]


def test_settings_that_contradict():
    with Signed() as stage:
        trusted = stage.folder / "trusted/jwks.json"
        address = f"unix:{stage.folder}/x.sock"

        def start(*flags):
            code, _, error = cli("serve", "--store", stage.folder / "store2", "--http", address, *flags)
            assert code != 0, flags
            return error

        assert "--policy" in start("--require-signatures", "1", "--trusted-keys", trusted, "--policy", stage.policy)
        assert "--trusted-keys" in start("--require-signatures", "1")
        assert "--require-signatures" in start("--trusted-keys", trusted)
        assert "1 to 3" in start("--require-signatures", "4", "--trusted-keys", trusted)
        start("--require-signatures", "0", "--trusted-keys", trusted)
        start("--require-signatures", "1", "--trusted-keys", stage.folder / "nowhere")
        alice, bo, _ = (one.jwk for one in stage.people)
        for keys, word in ((["x"], "no Ed25519"), ([], "no keys"),
                           ([alice, {**alice, "kid": "alice again"}], "same key"),
                           ([alice, {**bo, "kid": "alice"}], "another key"), ([{**alice, "kid": ""}], "kid"),
                           ([{**alice, "x": b64(bytes(32))}], "trusted key 0"),
                           ([{**alice, "d": alice["x"]}], "private"),
                           ([alice, {**bo, "crv": "X25519"}], "no Ed25519"), ([alice, {**bo, "x": "!"}], "base64url")):
            path = stage.write("odd.json", json.dumps({"keys": keys}))
            error = start("--require-signatures", "1", "--trusted-keys", path)
            assert word in error, (keys, error)


# --- other keys while it runs --------------------------------------------------------------------------------

class Rekeyed(Signed):
    """Alice, Bo and Carol may sign; what is in force is signed by Alice and Bo."""

    def __init__(self):
        super().__init__()
        self.dora = Person(self, "dora")
        self.apply_signed("wide")
        assert self.status_of() == 200

    def trust(self, event, *people, text=None):
        """Puts other keys into the file and sends SIGHUP; what the log says of it."""
        if text is None:
            text = json.dumps({"keys": [one.jwk for one in people]})
        self.replace("trusted/jwks.json", text)
        before = len(self.service.events(event))
        self.service.process.signal(signal.SIGHUP)
        return wait_until(lambda: self.service.events(event)[before:], event)[-1]

    def trusted(self):
        return self.service.status()["policy"]["trusted_keys"]


def test_keys_that_are_added_and_taken_away():
    with Rekeyed() as stage:
        alice, bo, carol = stage.people
        dora = stage.dora
        stage.refused("unknown_key", "narrow", "--signatures",
                      stage.file(apply_text(stage.version("narrow"), stage.serial + 1), bo, dora))
        event = stage.trust("trusted_keys_changed", alice, bo, dora)
        assert (event["added"], event["removed"]) == ("dora", "carol") and "2 of 3" in event["message"], event
        stage.refused("unknown_key", "narrow", "--signatures",
                      stage.file(apply_text(stage.version("narrow"), stage.serial + 1), bo, carol))
        stage.apply_signed("narrow", people=[bo, dora])
        assert stage.status_of() == 403
        # Another key under a name that is known is another key.
        other = Person(stage, "alice")
        event = stage.trust("trusted_keys_changed", other, bo, dora)
        assert (event["added"], event["removed"]) == ("alice", "alice"), event
        stage.refused("bad_signature", "wide", "--signatures",
                      stage.file(apply_text(stage.version("wide"), stage.serial + 1), alice, bo, dora))
        stage.trust("trusted_keys_unchanged", dora, other, bo)
        stage.apply_signed("wide", people=[other, dora])
        assert stage.status_of() == 200
        label = stage.label()
        # A restart sees the same.
        assert stage.service.terminate() == 0
        stage.service.start()
        assert stage.label() == label and stage.status_of() == 200 and stage.trusted() == 3


def test_a_key_that_what_is_in_force_needs():
    with Rekeyed() as stage:
        alice, bo, carol = stage.people
        label = stage.label()
        event = stage.trust("trusted_keys_refused", bo, carol)
        assert event["reason"] == "unknown_key" and event["removed"] == "alice", event
        assert stage.version("wide") in event["message"] and "restart" in event["message"], event
        assert stage.label() == label and stage.status_of() == 200 and stage.trusted() == 3
        # All the old ones still count, so what is in force can be signed by those who stay.
        stage.apply_signed("wide", people=[bo, carol])
        event = stage.trust("trusted_keys_changed", bo, carol)
        assert event["removed"] == "alice" and "added" not in event, event
        assert stage.status_of() == 200 and stage.trusted() == 2
        stage.refused("unknown_key", "narrow", "--signatures",
                      stage.file(apply_text(stage.version("narrow"), stage.serial + 1), alice, bo))
        assert stage.service.terminate() == 0
        stage.service.start()
        assert stage.status_of() == 200 and stage.trusted() == 2


def test_trusted_keys_that_cannot_be_used():
    with Rekeyed() as stage:
        alice, bo, _ = stage.people
        label = stage.label()
        path = stage.folder / "trusted/jwks.json"
        for text, word in (("", "JSON"), ("{", "JSON"), ('{"keys":[]}', "no keys"),
                           (json.dumps({"keys": [alice.jwk]}), "require"),
                           (json.dumps({"keys": [alice.jwk, {**bo.jwk, "x": "!"}]}), "base64url"),
                           (json.dumps({"keys": [alice.jwk, bo.jwk], "more": " " * (1 << 20)}), str(path))):
            event = stage.trust("trusted_keys_refused", text=text)
            assert word in event["message"] and "SIGHUP" in event["message"] and event["file"] == str(path), event
        path.unlink()
        before = len(stage.service.events("trusted_keys_refused"))
        stage.service.process.signal(signal.SIGHUP)
        wait_until(lambda: stage.service.events("trusted_keys_refused")[before:], "it is gone")
        assert stage.label() == label and stage.trusted() == 3
        # And those from before count.
        stage.apply_signed("narrow")
        assert stage.status_of() == 403


def children(pid):
    """The processes that it has started and that still run."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(path)
        except (OSError, IndexError):
            continue  # it has ended
    return found


def test_keys_that_go_while_a_version_comes_in():
    """What was verified with them does not decide when they are gone."""
    with Rekeyed() as stage:
        alice, bo, carol = stage.people
        stage.apply_signed("wide", people=[bo, carol])
        stage.serial += 10
        file = stage.file(apply_text(stage.version("narrow"), stage.serial), alice, bo)
        answers = []

        def apply():
            answers.append(cli("policy", "apply", stage.folder / "narrow.yaml", "-m", "x", *stage.place(),
                               "--signatures", file))

        client = threading.Thread(target=apply)
        with Environment(stage.folder / "store") as environment, environment.writing():
            # The daemon's child waits to write; that there is one says that the signatures were good.
            client.start()
            wait_until(lambda: children(stage.service.process.pid), "the policy is compiled")
            stage.trust("trusted_keys_changed", bo, carol)
        client.join()
        code, _, error = answers[0]
        assert code == 1 and "refused (unknown_key)" in error, answers
        assert stage.status_of() == 200 and stage.service.status()["policy"]["number"] == 2


def test_keys_that_were_missing_at_the_start():
    """Where nothing decides, other keys change nothing for the worse: what they accept decides at once."""
    with Rekeyed() as stage:
        alice, bo, carol = stage.people
        label = stage.label()
        assert stage.service.terminate() == 0
        stage.write("trusted/jwks.json", json.dumps({"keys": [bo.jwk, carol.jwk]}))
        stage.service.start()
        stage.not_accepted("unknown_key")
        stage.trust("trusted_keys_changed", bo, carol, stage.dora)
        stage.not_accepted("unknown_key")
        event = stage.trust("trusted_keys_changed", alice, bo)
        assert (event["added"], event["removed"]) == ("alice", "carol, dora"), event
        wait_until(lambda: stage.status_of() == 200, "it decides")
        assert stage.label() == label and "not_accepted" not in stage.service.status()["policy"]


def test_a_rollback_that_was_signed_by_a_key_that_is_gone():
    with Rekeyed() as stage:
        alice, bo, carol = stage.people
        stage.serial += 10
        narrow, wide = stage.version("narrow"), stage.version("wide")
        apply = stage.file(apply_text(narrow, stage.serial), bo, carol, name="apply.json")
        back = stage.file(rollback_text(wide, stage.serial + 1, narrow, stage.serial), alice, carol, name="back.json")
        stage.apply("narrow", "--signatures", apply, "--rollback-signatures", back)
        stage.trust("trusted_keys_changed", bo, carol)
        event = wait_until(lambda: stage.service.events("prepared_rollback_void"), "it is told")[-1]
        assert (event["version"], event["reason"]) == (wide, "unknown_key"), event
        assert "refused (unknown_key)" in stage.rollback(check=1)
        assert stage.status_of() == 403


# --- rollbacks -----------------------------------------------------------------------------------------------

def test_rollbacks():
    with Signed() as stage:
        alice, bo, carol = stage.people
        wide, narrow = stage.version("wide"), stage.version("narrow")
        stage.apply_signed("wide", serial=100)
        # The rollback is signed together with the version.
        apply = stage.file(apply_text(narrow, 200), alice, bo, name="apply.json")
        back = rollback_text(wide, 201, narrow, 200)
        for text, people, reason in (
                (back, [alice], "too_few_signatures"), (apply_text(wide, 201), [alice, bo], "wrong_action"),
                (rollback_text(wide, 201, narrow, 199), [alice, bo], "rollback_not_from_present"),
                (rollback_text(wide, 201, wide, 200), [alice, bo], "rollback_not_from_present"),
                (rollback_text(wide, 200, narrow, 200), [alice, bo], "replayed_serial")):
            stage.refused(reason, "narrow", "--signatures", apply, "--rollback-signatures",
                          stage.file(text, *people, name="back.json"))
        stage.apply("narrow", "--signatures", apply, "--rollback-signatures",
                    stage.file(back, bo, carol, name="back.json"))
        assert stage.status_of() == 403
        # Over a restart, and at once.
        stage.service.kill()
        stage.service.start()
        assert stage.status_of() == 403
        answer = stage.rollback()
        assert (answer["version"], answer["number"]) == (wide, 3) and stage.status_of() == 200
        stage.service.kill()
        stage.service.start()
        assert stage.status_of() == 200 and stage.label() == answer["label"]
        # Neither it nor the apply is good once more.
        assert "refused (unsigned)" in stage.rollback(narrow, check=1)
        code, _, error = cli("policy", "rollback", wide, "-m", "x", *stage.place(), "--signatures",
                             stage.folder / "back.json")
        assert code == 2 and "decides already" in error, error
        stage.refused("replayed_serial", "narrow", "--signatures", apply)
        # Signed again under a new serial it decides, and then the old rollback is not from there.
        stage.apply_signed("narrow", serial=300)
        error = stage.rollback("--signatures", stage.folder / "back.json", check=1)
        assert "refused (replayed_serial)" in error, error
        for text, people, reason in (
                (rollback_text(wide, 301, narrow, 200), [alice, bo], "rollback_not_from_present"),
                (rollback_text(wide, 301, stage.version("other"), 300), [alice, bo], "rollback_not_from_present"),
                (rollback_text(wide, 301, narrow, 300), [alice], "too_few_signatures"),
                (rollback_text(narrow, 301, wide, 300), [alice, bo], "wrong_version"),
                (apply_text(wide, 301), [alice, bo], "wrong_action")):
            error = stage.rollback(wide, "--signatures", stage.file(text, *people), check=1)
            assert f"refused ({reason})" in error, (text, error)
            assert stage.status_of() == 403
        stage.rollback(wide, "--signatures", stage.file(rollback_text(wide, 301, narrow, 300), alice, carol))
        assert stage.status_of() == 200
        # An apply signed before that rollback came later is behind it.
        late = stage.file(apply_text(stage.version("other"), 301), alice, bo)
        stage.refused("replayed_serial", "other", "--signatures", late)


def test_the_command_signs_what_the_daemon_takes():
    with Signed() as stage:
        alice, bo, _ = stage.people
        policy, out = stage.folder / "wide.yaml", stage.folder / "wide.sig"
        trusted = ["--trusted-keys", stage.folder / "trusted/jwks.json", "--require", "2"]
        before = int(time.time())
        _, _, shown = cli("policy", "sign", policy, "--key", alice.key, "--output", out, check=0)
        assert "action apply" in shown and version_of(stage.texts["wide"]) in shown, shown
        code, text, _ = cli("policy", "verify", out, policy, *trusted)
        assert code == 1 and "1 of 2" in text, text
        assert f"signature of {alice.name}, Ed25519: good\n" in text and "serial as a time 20" in text, text
        cli("policy", "sign", policy, "--key", bo.key, "--output", out, check=0)
        # Signing twice changes nothing.
        _, text, shown = cli("policy", "sign", policy, "--key", bo.key, "--output", out, "--json", check=0)
        written = json.loads(text)
        assert not shown and written.pop("file") == str(out) and written.pop("kid") == bo.name, (text, shown)
        _, text, _ = cli("policy", "verify", out, policy, *trusted, "--json", check=0)
        read = json.loads(text)
        assert read["accepted"] and before <= read["serial"] <= time.time(), read
        assert read["signatures"] == [
            {"kid": person.name, "algorithm": "Ed25519", "result": "good"} for person in (alice, bo)], read
        # Both name the same things alike.
        written["signatures"] = [one | {"result": "good"} for one in written["signatures"]]
        assert written | {"accepted": True} == read and set(written) == {
            "action", "version", "serial", "serial_as_time", "signatures"}, (written, read)
        _, _, error = cli("policy", "sign", policy, "--key", bo.key, "--json", check=64)
        assert "--output FILE" in error, error
        # Who has signed is said of a file that is refused, too.
        spoiled = json.loads(out.read_text())
        spoiled["signatures"][0]["signature"] = spoiled["signatures"][1]["signature"]
        spoiled["signatures"][1]["kid"] = "a\x1bstranger"
        other = stage.write("spoiled.sig", json.dumps(spoiled))
        _, text, _ = cli("policy", "verify", other, policy, *trusted, check=1)
        assert f"signature of {alice.name}, Ed25519: wrong: " in text, text
        assert "signature of a\ufffdstranger, Ed25519: does not count: " in text, text
        _, text, _ = cli("policy", "verify", other, policy, *trusted, "--json", check=1)
        assert [one["result"] for one in json.loads(text)["signatures"]] == ["wrong", "untrusted"], text
        code, text, _ = cli("policy", "verify", out, stage.folder / "narrow.yaml", *trusted, "--json")
        assert code == 1 and json.loads(text)["reason"] == "wrong_version", text
        # The file is about one statement.
        code, _, error = cli("policy", "sign", stage.folder / "narrow.yaml", "--key", bo.key, "--output", out)
        assert code == 2 and "another statement" in error, error
        # What the command signs is what cryptography verifies.
        file = json.loads(out.read_text())
        for person, entry in zip((alice, bo), file["signatures"]):
            raw = base64.urlsafe_b64decode(entry["signature"] + "==")
            person.private.public_key().verify(raw, file["statement"].encode())
        stage.apply("wide", "--signatures", out)
        assert stage.status_of() == 200
        serial = read["serial"]
        narrow_sig, back_sig = stage.folder / "narrow.sig", stage.folder / "back.sig"
        for person in (alice, bo):
            cli("policy", "sign", stage.folder / "narrow.yaml", "--key", person.key, "--serial", serial + 10,
                "--output", narrow_sig, check=0)
            _, text, _ = cli(
                "policy", "sign", stage.folder / "narrow.yaml", "--key", person.key, "--rollback-to", "active",
                "--from-serial", serial + 10, "--output", back_sig, "--json", *stage.place(), check=0)
        written = json.loads(text)
        assert [written[name] for name in ("action", "version", "from", "serial", "from_serial")] == [
            "rollback", stage.version("wide"), stage.version("narrow"), serial + 11, serial + 10], written
        stage.apply("narrow", "--signatures", narrow_sig, "--rollback-signatures", back_sig)
        assert stage.status_of() == 403
        stage.rollback()
        assert stage.status_of() == 200
        # Keys of another kind, and policies that nobody would take, are not signed.
        cli("keys", "generate", "--output", stage.folder / "ec", check=0)
        code, _, error = cli("policy", "sign", policy, "--key", stage.folder / "ec/private.jwk")
        assert code == 2 and "Ed25519" in error, error
        stage.write("bad.yaml", POLICY + "surprise: 1\n")
        code, out, _ = cli("policy", "sign", stage.folder / "bad.yaml", "--key", alice.key)
        assert code == 1 and "surprise" in out, out


# --- tampering -----------------------------------------------------------------------------------------------

def tamper(stage, old, new):
    """Exchanges bytes of the store's file, as somebody who may write to it could."""
    path = stage.folder / "store/data.mdb"
    data = path.read_bytes()
    assert len(old) == len(new) and data.count(old) >= 1, (old, data.count(old))
    path.write_bytes(data.replace(old, new))


def test_tampered_bytes_of_the_store():
    with Signed() as stage:
        stage.apply_signed("narrow")
        assert stage.status_of() == 403
        assert stage.service.terminate() == 0
        kept = stage.folder / "kept"
        shutil.copytree(stage.folder / "store", kept)

        def again(reason, old, new):
            shutil.rmtree(stage.folder / "store")
            shutil.copytree(kept, stage.folder / "store")
            tamper(stage, old, new)
            stage.service.start()
            if reason:
                stage.not_accepted(reason)
            assert stage.service.terminate() == 0

        # The source, the statement, a signature, the number of the log and the pointer.
        again("tampered", b"match: GET /orders, scopes: orders:admin", b"match: GET /orders, scopes: orders:write")
        again("malformed_signatures", b"action apply", b"action grant")
        again("bad_signature", stage.version("narrow").encode(), stage.version("wide").encode())
        signature = stage.people[0].signature(apply_text(stage.version("narrow"), stage.serial))["signature"]
        again("bad_signature", signature.encode(), b64(bytes(64)).encode())
        again("tampered", struct.pack("<Q", stage.serial), struct.pack("<Q", stage.serial + 1))
        # Nothing older stands in for it, though there is something.
        shutil.rmtree(stage.folder / "store")
        shutil.copytree(kept, stage.folder / "store")
        stage.service.start()
        assert stage.status_of() == 403
        stage.apply_signed("wide")
        assert stage.service.terminate() == 0
        tamper(stage, stage.version("wide").encode(), stage.version("other").encode())
        stage.service.start()
        stage.not_accepted("bad_signature")


def test_tampered_tables_do_not_decide():
    """The compiled tables are what decides, and the seal over them is no secret: whoever can write to the store could
    make others with a good seal. They are compared with what the signed source says."""
    with Signed() as stage:
        stage.apply_signed("narrow")
        assert stage.status_of() == 403
        label = stage.label()
        assert stage.service.terminate() == 0
        # The tables of a wider policy under the narrow one's name, seal and all: made by a build whose source lied.
        lie(stage)
        stage.service.start()
        assert stage.status_of() == 403 and stage.label() == label
        assert stage.service.events("policy_tables_differed"), stage.service.log_text()
        assert stage.service.terminate() == 0
        # Mended for good.
        stage.service.start()
        assert stage.status_of() == 403 and not stage.service.events("policy_tables_differed")[1:]


def lie(stage):
    """Puts the tables of the wide policy under the narrow one's name, record and seal and all."""
    other = stage.folder / "other-store"
    other.mkdir()
    cli("policy", "apply", stage.folder / "wide.yaml", "-m", "x", "--store", other, check=0)
    wide, narrow = (bytes.fromhex(stage.version(name)) for name in ("wide", "narrow"))
    with Environment(other) as source:
        tables, versions = source.read("tables"), source.read("versions")
    # Keys begin with half of the version, and the seal is over them: the forger makes the lie's own.
    forged = {narrow[:16] + key[16:]: value for key, value in tables.items() if key.startswith(wide[:16])}
    with Environment(stage.folder / "store") as target:
        record = versions[wide]
        target.write("tables", forged)
        target.write("versions", {narrow: record[:56] + seal(forged) + record[64:]})


def seal(tables):
    """Hash over all keys and tables, each seeded with the one before: `integrityHash` of SegmentHash.swift."""
    value = 0
    for key in sorted(tables):
        value = integrity_hash(tables[key], integrity_hash(key, value))
    return value.to_bytes(8, "little")


def integrity_hash(data, seed):
    mask = (1 << 64) - 1

    def mixed(state, word):
        product = (state ^ word) * 0xD6E8FEB86659FD93 & mask
        return product ^ product >> 32

    lanes = [seed ^ 0x243F6A8885A308D3, seed ^ 0x13198A2E03707344, seed ^ 0xA4093822299F31D0, seed ^ 0x082EFA98EC4E6C89]
    whole = len(data) // 32 * 32
    for start in range(0, whole, 32):
        for lane, word in enumerate(struct.unpack_from("<4Q", data, start)):
            lanes[lane] = mixed(lanes[lane], word)
    for byte in data[whole:]:
        lanes[0] = mixed(lanes[0], byte)
    return mixed(mixed(mixed(lanes[0], lanes[1]), len(data)), mixed(lanes[2], lanes[3]))
