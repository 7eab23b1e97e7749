"""Regorus, by its virtual machine (`machine`: the policy compiled to a program) or its interpreter (`interpreter`):

    python3 -m benches.engines.rego MODE QUESTIONS ROUTES HOSTS

The routes are data, one object in another from the host down to the last literal, so that a look-up needs no scan; the
policy knows that all paths have four segments, which a general one would not. Of several forms this was the fastest that
gave right answers (`every s in … { s in input.scopes }` allows a token without scopes in the virtual machine of 0.9.1).
The question is set as JSON for each decision, as quick as setting a dictionary.
"""

import json
import sys

from .decisions import routes
from .peer import FOLDER, SCOPE, read, serve

POLICY = """
package gate
import rego.v1
default allow := false
allow if {
  segments := split(input.path, "/")
  count(segments) == 5
  segments[4] != ""
  data.routes[input.host][input.method][segments[1]][segments[2]][segments[3]] in input.scopes
}
nothing := true
"""


def data(counts):
    found = {}
    for host, route in routes(*counts):
        paths = found.setdefault(f"h{host}.example.com", {"GET": {"v1": {}}})["GET"]["v1"]
        paths.setdefault(f"c{route % 50}", {})[f"r{route}"] = SCOPE
    return json.dumps({"routes": found})


def machine(document):
    """(decide, do nothing), both of one question as JSON."""
    from regorus.regorus import Program, Rvm
    program = Program.compile_from_modules(document, [("gate.rego", POLICY)], ["data.gate.allow", "data.gate.nothing"])
    engine = Rvm()
    engine.load_program(program)
    engine.set_data_json(document)
    set_input, evaluate = engine.set_input_json, engine.execute_entry_point

    def decide(question):
        set_input(question)
        return evaluate("data.gate.allow") == "true"

    def nothing(_):
        set_input("{}")
        return evaluate("data.gate.nothing") == "true"

    return decide, nothing


def interpreter(document):
    from regorus import Engine
    engine = Engine()
    engine.add_policy("gate.rego", POLICY)
    engine.add_data_json(document)
    set_input, evaluate = engine.set_input_json, engine.eval_rule

    def decide(question):
        set_input(question)
        return evaluate("data.gate.allow")

    def nothing(_):
        set_input("{}")
        return evaluate("data.gate.nothing")

    return decide, nothing


def main(mode, questions, *counts):
    sys.path.insert(0, str(FOLDER))
    decide, nothing = {"machine": machine, "interpreter": interpreter}[mode](data(tuple(map(int, counts))))
    prepared = [(json.dumps(dict(method="GET", host=host, path=target, scopes=scopes)), right)
                for host, target, scopes, right in read(questions)]

    def ask(batch):
        for question in batch:
            decide(question)

    def empty(batch):
        for question in batch:
            nothing(question)

    serve(prepared, lambda batch: [decide(question) for question in batch], ask, empty)


main(*sys.argv[1:])
