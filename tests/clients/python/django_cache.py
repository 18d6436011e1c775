"""Django's own Redis cache: values, many at a time, counters, versions, prefixes, TTLs, a view that is cached, and sessions in
it; the listener stopped and started under it."""

import os

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

from lib import about, listener, show

settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["REDIS_URL"],
        "KEY_PREFIX": "shop",
        "TIMEOUT": 300,
        "OPTIONS": {"db": 2, "health_check_interval": 1},
    }},
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="cats",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
django.setup()

import redis
from django.core.cache import cache
from django.test import Client
from django.views.decorators.cache import cache_page

calls = []


@cache_page(60)
def slow(_request):
    calls.append(1)
    return HttpResponse(f"call {len(calls)}")


def basket(request):
    items = request.session.setdefault("items", [])
    items.append(len(items))
    request.session.modified = True
    return HttpResponse(str(items))


urlpatterns = [path("slow", slow), path("basket", basket)]
raw = redis.Redis.from_url(os.environ["REDIS_URL"], db=2)


def values():
    show("set", cache.set("k", {"a": [1, 2, None], "b": "ü"}))
    show("get", [cache.get("k"), cache.get("none", "default"), cache.get("none")])
    show("key", raw.keys("*k"))
    show("ttl", about(300, raw.ttl("shop:1:k")))
    show("add", [cache.add("k", 1), cache.add("new", 1, timeout=10)])
    show("touch", [cache.touch("new", 500), about(500, raw.ttl("shop:1:new")), cache.touch("none")])
    show("forever", [cache.set("endless", 1, timeout=None), raw.ttl("shop:1:endless")])
    show("at once", [cache.set("gone", 1, timeout=0), cache.get("gone")])
    show("many", [cache.set_many({"a": 1, "b": "x", "c": 2.5}), cache.get_many(["a", "b", "c", "none"])])
    show("get or set", [cache.get_or_set("made", lambda: "made"), cache.get_or_set("made", "again")])
    show("incr", [cache.set("n", 5), cache.incr("n", 2), cache.decr("n"), cache.get("n")])
    try:
        cache.incr("none")
    except ValueError as error:
        show("incr none", error)
    show("has", ["a" in cache, cache.has_key("none")])
    show("versions", [cache.set("a", "new", version=2), cache.get("a"), cache.get("a", version=2), cache.incr_version("b")])
    show("keys", sorted(raw.keys("*")))
    show("delete", [cache.delete("a"), cache.delete("a"), cache.delete_many(["c", "k"]), cache.get_many(["a", "c", "k"])])


def views():
    browser = Client()
    show("slow", [browser.get("/slow").content for _ in range(2)])
    show("basket", [browser.get("/basket").content for _ in range(2)])
    show("another's", Client().get("/basket").content)
    show("sessions", len(raw.keys("*sessions.cache*")))
    return browser


cache.clear()
values()
browser = views()
listener("stop")
try:
    show("down", cache.get("n"))
except redis.ConnectionError as error:
    show("down", type(error).__name__)
listener("start")
show("n", cache.get("n"))
show("basket", browser.get("/basket").content)
show("slow", browser.get("/slow").content)
show("clear", [cache.clear(), raw.dbsize()])
cache.close()
