"""Certificates of a test's own: authorities, servers and clients with whatever names a test wants."""

import datetime
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Certificate:
    """A certificate with its key, in one PEM file as HAProxy wants it, and as DER."""

    def __init__(self, path, certificate, key):
        self.path = path
        self.der = certificate.public_bytes(_DER)
        path.write_bytes(certificate.public_bytes(_PEM) + key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


class Authority:
    """Signs what it is asked to, in `place`'s folder; `path` is its own certificate as PEM."""

    def __init__(self, place, name="authority"):
        self.folder, self.name = place.folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._build(self._subject, self._key.public_key(), 60, 365, [
            (x509.BasicConstraints(ca=True, path_length=None), True)])
        self.path = self.folder / f"{name}.pem"
        self.path.write_bytes(certificate.public_bytes(_PEM))

    def _build(self, subject, public, begins_days_ago, ends_in_days, extensions):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self._subject).public_key(public)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now() - datetime.timedelta(days=begins_days_ago))
                   .not_valid_after(now() + datetime.timedelta(days=ends_in_days)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, file, name="", uris=(), dns=(), begins_days_ago=30, ends_in_days=30, server=False):
        """A certificate in the file `file`.pem; `name` is the common name, none when empty."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        extensions = [(x509.BasicConstraints(ca=False, path_length=None), True),
                      (x509.ExtendedKeyUsage([usage]), False)]
        names = [x509.UniformResourceIdentifier(uri) for uri in uris] + [x509.DNSName(each) for each in dns]
        if names:
            extensions.append((x509.SubjectAlternativeName(names), not name))
        certificate = self._build(subject, key.public_key(), begins_days_ago, ends_in_days, extensions)
        return Certificate(self.folder / f"{file}.pem", certificate, key)


def client_context(authority, certificate=None, version=None):
    """A TLS client that trusts `authority` and presents `certificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.path)
    if certificate is not None:
        context.load_cert_chain(certificate.path)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
