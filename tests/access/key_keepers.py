"""Keepers of keys in one small server, each as its public documentation says; they seal with real ciphers.

Vault: https://developer.hashicorp.com/vault/api-docs/secret/transit
AWS: https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
Google: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt
Azure: https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key
"""

import base64
import json
import os
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from secret_stores import Answers, Stores

ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
GOOGLE_KEY = "projects/p1/locations/europe-west1/keyRings/r1/cryptoKeys/tollgate"
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class Keepers(Stores):
    """Keys that never leave; `rotate` gives each another version, and old ones go on to open."""

    def __init__(self):
        super().__init__(answers=KeeperAnswers)
        self.versions, self.pairs = [], {}
        self.bound, self.away = [], False
        self.rotate()

    def rotate(self):
        self.versions.append(AESGCM(os.urandom(32)))
        self.pairs[f"v{len(self.versions)}abc"] = rsa.generate_private_key(65537, 2048)

    def seal(self, text, bound):
        self.bound.append(bound.decode())
        nonce = os.urandom(12)
        return len(self.versions), nonce + self.versions[-1].encrypt(nonce, text, bound)

    def open(self, version, sealed, bound):
        try:
            return self.versions[version - 1].decrypt(sealed[:12], sealed[12:], bound)
        except (InvalidTag, IndexError):
            return None

    def asked(self, start=""):
        """What was asked of keepers, as method and path."""
        kinds = ("/v1/transit/", "/v1/projects/", "/keys/")
        return [one for one in self.seen if one[1].startswith(start) and (one[1].startswith(kinds) or one[1] == "/")]


class KeeperAnswers(Answers):
    def choose(self, path, body):
        if self.stores.away:
            return 503, {"errors": ["Vault is sealed"]}
        if target := self.headers.get("x-amz-target"):
            return self.kms(target, body)
        if path.startswith("/v1/transit/"):
            return self.transit(path.removeprefix("/v1/transit/"), body)
        if path.startswith("/v1/projects/") and ":" in path:
            return self.cloud_kms(path.removeprefix("/v1/"), body)
        if path.startswith("/keys/"):
            return self.key_vault(path.split("/")[2:], body)
        return super().choose(path, body)

    def transit(self, path, body):
        token = self.headers.get("x-vault-token")
        if self.stores.tokens.get(token, 0) < time.monotonic():
            return 403, {"errors": ["permission denied"]}
        sent = json.loads(body)
        bound = base64.b64decode(sent["associated_data"], validate=True)
        if (self.command, path) == ("POST", "encrypt/tollgate"):
            assert set(sent) == {"plaintext", "associated_data"}
            version, sealed = self.stores.seal(base64.b64decode(sent["plaintext"], validate=True), bound)
            return 200, {"data": {"ciphertext": f"vault:v{version}:{encode(sealed)}", "key_version": version}}
        if (self.command, path) == ("POST", "decrypt/tollgate"):
            assert set(sent) == {"ciphertext", "associated_data"}
            word, version, sealed = sent["ciphertext"].split(":")
            text = self.stores.open(int(version[1:]), base64.b64decode(sealed), bound) if word == "vault" else None
            if text is None:
                return 400, {"errors": ["cipher: message authentication failed"]}
            return 200, {"data": {"plaintext": encode(text)}}
        return 404, {"errors": []}

    def kms(self, target, body):
        if not self.is_signed("kms", "eu-west-1", body) or self.command != "POST" or self.path != "/":
            return 403, {"__type": "InvalidSignatureException", "message": "the signature does not match"}
        sent = json.loads(body)
        if sent["KeyId"] != ARN:
            return 400, {"__type": "NotFoundException", "message": f"Key '{sent['KeyId']}' does not exist"}
        context = json.dumps(sent["EncryptionContext"], sort_keys=True).encode()
        if target == "TrentService.Encrypt":
            version, sealed = self.stores.seal(base64.b64decode(sent["Plaintext"], validate=True), context)
            return 200, {"KeyId": ARN, "CiphertextBlob": encode(bytes([version]) + sealed)}
        if target == "TrentService.Decrypt":
            blob = base64.b64decode(sent["CiphertextBlob"], validate=True)
            text = self.stores.open(blob[0], blob[1:], context)
            if text is None:
                return 400, {"__type": "InvalidCiphertextException"}
            return 200, {"KeyId": ARN, "Plaintext": encode(text)}
        return 400, {"__type": "UnknownOperationException"}

    def cloud_kms(self, path, body):
        if self.headers.get("authorization") != "Bearer at-google" or self.command != "POST":
            return 401, {"error": {"code": 401, "message": "no token", "status": "UNAUTHENTICATED"}}
        key, _, action = path.partition(":")
        if key != GOOGLE_KEY:
            return 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
        sent = json.loads(body)
        member = {"encrypt": "plaintext", "decrypt": "ciphertext"}[action]
        given = {name: base64.b64decode(sent[name], validate=True) for name in (member, "additionalAuthenticatedData")}
        for name, value in given.items():
            if sent[f"{name}Crc32c"] != str(crc32c(value)):
                return 400, {"error": {"code": 400, "message": "checksum", "status": "INVALID_ARGUMENT"}}
        text, bound = given.values()
        if action == "encrypt":
            version, sealed = self.stores.seal(text, bound)
            blob = bytes([version]) + sealed
            return 200, {
                "name": f"{key}/cryptoKeyVersions/{version}", "ciphertext": encode(blob),
                "ciphertextCrc32c": str(crc32c(blob)), "verifiedPlaintextCrc32c": True,
                "verifiedAdditionalAuthenticatedDataCrc32c": True,
            }
        opened = self.stores.open(text[0], text[1:], bound)
        if opened is None:
            return 400, {"error": {"code": 400, "message": "Decryption failed", "status": "INVALID_ARGUMENT"}}
        return 200, {"plaintext": encode(opened), "plaintextCrc32c": str(crc32c(opened))}

    def key_vault(self, parts, body):
        if self.headers.get("authorization") != "Bearer at-tenant-1" or "api-version=7.4" not in self.path:
            return 401, {"error": {"code": "Unauthorized", "message": "no token"}}
        url = f"{self.stores.url}/keys/tollgate"
        match self.command, parts:
            case "GET", ["tollgate"]:
                return 200, {"key": {"kid": f"{url}/{list(self.stores.pairs)[-1]}", "kty": "RSA"}}
            case "POST", ["tollgate", version, ("wrapkey" | "unwrapkey") as action] if version in self.stores.pairs:
                sent, pair = json.loads(body), self.stores.pairs[version]
                assert sent["alg"] == "RSA-OAEP-256"
                value = base64.urlsafe_b64decode(sent["value"] + "=" * (-len(sent["value"]) % 4))
                made = pair.public_key().encrypt(value, OAEP) if action == "wrapkey" else pair.decrypt(value, OAEP)
                return 200, {"kid": f"{url}/{version}", "value": base64.urlsafe_b64encode(made).decode().rstrip("=")}
        return 404, {"error": {"code": "KeyNotFound", "message": "no such key"}}


def encode(text):
    return base64.b64encode(text).decode()


def crc32c(text):
    """RFC 3720, appendix B.4, by its table."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    found = 0xFFFFFFFF
    for byte in text:
        found = (found >> 8) ^ table[(found ^ byte) & 0xFF]
    return found ^ 0xFFFFFFFF
