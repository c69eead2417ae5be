"""Whether the pure part runs compiled (`make compiled`): a test that puts a bug into it cannot, then."""

from __future__ import annotations

from importlib import import_module

import pytest

IS_COMPILED = not str(import_module("service.domain.fold").__file__).endswith(".py")
puts_a_bug_in = pytest.mark.skipif(IS_COMPILED, reason="what is compiled cannot be replaced by a test")
