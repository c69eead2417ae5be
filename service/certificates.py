"""Makes of certificates and keys what a client trusts and shows, and says which file is wrong."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from service.processing.ports import Unusable
from service.setting_kinds import PREFIX


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of one part outside, as they were set; `part` stands in the names of their settings."""

    part: str
    ca_file: Path | None
    certificate_file: Path | None
    key_file: Path | None
    key_password: SecretStr | None

    @property
    def password(self) -> str:
        """The password of the key; never None, with which OpenSSL would ask for one at the terminal."""
        return "" if self.key_password is None else self.key_password.get_secret_value()

    def context(self) -> ssl.SSLContext:
        """Give a context that checks names; raise `Unusable` for a file that is not what it must be."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise self._no_authorities(error) from error
        if self.certificate_file is not None:
            self._show(context, self.certificate_file)
        return context

    def context_of_both(self) -> ssl.SSLContext:
        """Give a context that trusts the system's authorities beside those of the file, and shows nothing."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                raise self._no_authorities(error) from error
        return context

    def _show(self, context: ssl.SSLContext, certificate: Path) -> None:
        both = f"{certificate} and its key" if self.key_file is None else f"{certificate} and {self.key_file}"
        try:
            context.load_cert_chain(certificate, self.key_file, self.password)
        except OSError as error:
            raise Unusable(
                f"{PREFIX}{self.part}_CERTIFICATE_FILE: {both} cannot be used ({error}): "
                "give certificate and key in PEM that belong together, and "
                f"{PREFIX}{self.part}_KEY_PASSWORD where the key has one"
            ) from error

    def _no_authorities(self, error: OSError) -> Unusable:
        return Unusable(
            f"{PREFIX}{self.part}_CA_FILE: {self.ca_file} cannot be read as certificates in PEM ({error}): "
            "give a file of those of the authorities"
        )
