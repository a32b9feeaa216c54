"""Bytes in memory up to a limit."""

from __future__ import annotations

from icas.common.byte_cache import ByteCache


def test_the_least_recently_used_go_first():
    cache = ByteCache(10)
    for key in "abc":
        cache.put(key, 3 * key.encode())
    assert cache.get("a") == b"aaa"
    cache.put("d", b"ddd")
    assert [cache.get(key) for key in "abcd"] == [b"aaa", None, b"ccc", b"ddd"]
    cache.put("a", b"")
    cache.put("e", b"eee")
    assert [cache.get(key) for key in "cde"] == [b"ccc", b"ddd", b"eee"]
    cache.put("f", bytes(11))
    assert cache.get("f") is None
