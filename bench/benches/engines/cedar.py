"""Cedar by cedarpy, many questions in one call (`batch`) or one in each, as its documentation shows (`single`):

    python3 -m benches.engines.cedar MODE QUESTIONS ROUTES HOSTS

Routes are entities that hold their scope, and so is the token, with its scopes; policies and entities are parsed once.
Cedar has no paths: it is told which route it is, which favours it. Of the batch the compiled part alone is called, without
the part in Python that makes objects of the answers.
"""

import json
import sys

from .decisions import routes
from .peer import FOLDER, SCOPE, read, serve

POLICY = "permit(principal, action, resource) when { principal.scopes.containsAll(resource.scopes) };"


def entity(kind, name, scopes):
    return dict(uid=dict(type=kind, id=name), attrs=dict(scopes=scopes), parents=[])


def resource(host, target):
    """The route of a target, as a look-up of it would name it."""
    return f"{host}{target.rpartition('/')[0]}"


def entities(counts, tokens):
    made = [entity("Route", f"h{host}.example.com/v1/c{route % 50}/r{route}", [SCOPE]) for host, route in routes(*counts)]
    return json.dumps(made + [entity("Token", " ".join(scopes), scopes) for scopes in tokens])


def main(mode, path, *counts):
    sys.path.insert(0, str(FOLDER))
    import cedarpy
    asked = list(read(path))
    tokens = {" ".join(scopes): scopes for _, _, scopes, _ in asked}.values()
    policies = cedarpy.PolicySet.from_str(POLICY)
    handle = cedarpy.Entities.from_json_str(entities(tuple(map(int, counts)), tokens))
    prepared = [(dict(principal=dict(type="Token", id=" ".join(scopes)), action=dict(type="Action", id="GET"),
                      resource=dict(type="Route", id=resource(host, target))), right)
                for host, target, scopes, right in asked]

    def batch_answers(batch):
        answers = cedarpy._internal.is_authorized_batch(list(batch), policies, handle._inner, None, False)
        return [json.loads(answer)["decision"] == "Allow" for answer in answers]

    def batch_ask(batch):
        cedarpy._internal.is_authorized_batch(batch, policies, handle._inner, None, False)

    def batch_empty(_):
        cedarpy._internal.is_authorized_batch([], policies, handle._inner, None, False)

    def single_answers(batch):
        return [cedarpy.is_authorized(question, policies, handle).allowed for question in batch]

    def single_ask(batch):
        for question in batch:
            cedarpy.is_authorized(question, policies, handle)

    def single_empty(batch):
        for _ in batch:
            cedarpy.echo("")

    if mode == "batch":
        serve(prepared, batch_answers, batch_ask, batch_empty)
    else:
        serve(prepared, single_answers, single_ask, single_empty)


main(*sys.argv[1:])
