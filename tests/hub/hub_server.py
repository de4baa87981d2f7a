"""A small hub on this machine, for tests: the API and the files of models, as
clients of a hub see them, and faults on request.

    hub = Hub()
    commit = hub.add("org/name", {"config.json": b"{}", ...})
    hub.faults.append(Fault("model.safetensors", status=503, times=2))
    ... HF_ENDPOINT=hub.url ...
    hub.close()

Large files (*.safetensors) lie on a second server, as on a CDN, and the first
one redirects to it.
"""

import copy
import hashlib
import http.server
import json
import ssl
import threading
import time
import urllib.parse

PAGE = 4  # files a page of the list


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(path):
    return path.endswith(".safetensors")


class Fault:
    """What goes wrong with requests whose path has WHERE in it."""

    def __init__(self, where, times=1, method=None, status=None, headers=None,
                 cut=None, stall=None, corrupt=False, ignore_range=False, slow=0):
        self.where, self.times, self.method = where, times, method
        self.status, self.headers = status, headers or {}
        self.cut = cut  # close after so many bytes of the body
        self.stall = stall  # say nothing more after so many of the file's, and not behind them
        self.corrupt = corrupt  # change the last byte
        self.ignore_range = ignore_range
        self.slow = slow  # seconds between pieces


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer_request(False)

    def do_GET(self):
        self.answer_request(True)

    def answer_request(self, body):
        hub = self.server.hub
        path = urllib.parse.urlsplit(self.path).path
        with hub.lock:
            hub.requests.append((self.command, self.path, dict(self.headers),
                                 self.server.is_cdn))
            fault = hub.take_fault(self.command, path)
        self.fault = fault or Fault("")
        self.with_body = body
        if self.fault.status:
            return self.send(self.fault.status, b"no", self.fault.headers)
        if self.server.is_cdn:
            return self.send_content(hub.large[path.rsplit("/", 1)[1]], {})
        if hub.token and self.headers.get("Authorization") != "Bearer " + hub.token:
            return self.send(401, b"", {"X-Error-Code": "GatedRepo"})
        for old, new in hub.renamed.items():
            if ("/" + old + "/") in path:
                return self.send(307, b"moved", {"Location": self.path.replace(old, new)})
        parts = [urllib.parse.unquote(p) for p in path.split("/")[1:]]
        if parts[:2] == ["api", "models"]:
            self.api(parts[2] + "/" + parts[3], parts[4], parts[5])
        else:
            self.resolve(parts[0] + "/" + parts[1], parts[3], "/".join(parts[4:]))

    def not_there(self, code):
        self.send(404, b"", {"X-Error-Code": code})

    def api(self, model, kind, revision):
        hub = self.server.hub
        if model not in hub.models:
            return self.not_there("RepoNotFound")
        commit = hub.commit_of(model, revision)
        if not commit:
            return self.not_there("RevisionNotFound")
        if kind == "revision":
            return self.send_json({"id": model, "sha": commit, "siblings": [
                {"rfilename": p} for p in hub.commits[commit]]})
        if hub.tree_override is not None:
            return self.send_json(hub.tree_override)
        rows = [hub.row(p, c) for p, c in hub.commits[commit].items()]
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        start = int(query.get("cursor", ["0"])[0])
        headers, own = {}, hub.url.split(":")[0] + "://" + self.headers["Host"]
        if start + PAGE < len(rows):
            headers["Link"] = '<%s/api/models/%s/tree/%s?recursive=true&cursor=%d>; rel="next"' % (
                own, model, commit, start + PAGE)
        self.send_json(rows[start:start + PAGE], headers)

    def resolve(self, model, revision, path):
        hub = self.server.hub
        commit = hub.commit_of(model, revision) if model in hub.models else None
        if not commit:
            return self.not_there("RepoNotFound")
        content = hub.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit}
        if content is None:
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound", **headers})
        if not is_large(path):
            headers["ETag"] = '"%s"' % git_sha1(content)
            return self.send_content(content, headers)
        sha256 = hashlib.sha256(content).hexdigest()
        headers.update({"X-Linked-ETag": '"%s"' % sha256,
                        "X-Linked-Size": str(len(content)), "ETag": '"redirect"',
                        "Location": "%s/cdn/%s?Signature=hush" % (hub.cdn_url, sha256)})
        self.send(302, b"see there", headers)

    def send_json(self, value, headers=None):
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send_content(self, content, headers):
        if self.fault.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        asked = self.headers.get("Range")
        if not asked or self.fault.ignore_range:
            return self.send(200, content, headers)
        first = int(asked.removeprefix("bytes=").split("-")[0])
        if first >= len(content):
            return self.send(416, b"", {"Content-Range": "bytes */%d" % len(content)})
        if self.fault.stall is not None:
            self.fault = copy.copy(self.fault)
            self.fault.stall = self.fault.stall - first if first < self.fault.stall else None
        headers["Content-Range"] = "bytes %d-%d/%d" % (first, len(content) - 1, len(content))
        self.send(206, content[first:], headers)

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not self.with_body:
            return
        fault, hub = self.fault, self.server.hub
        limit = min(x for x in (fault.cut, fault.stall, len(body)) if x is not None)
        try:
            step = 4096 if fault.slow else len(body) + 1
            for begin in range(0, limit, step):
                self.wfile.write(body[begin:min(begin + step, limit)])
                time.sleep(fault.slow)
            with hub.lock:
                hub.sent += limit
            if fault.stall is not None:
                hub.released.wait(300)
        except OSError:
            pass
        if limit < len(body):
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub, is_cdn):
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.is_cdn, self.accepted = hub, is_cdn, 0
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def get_request(self):
        self.accepted += 1
        return super().get_request()

    def handle_error(self, request, address):
        pass


class Hub:
    def __init__(self):
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.models = {}  # id -> {revision: commit}
        self.commits = {}  # commit -> {path: content}
        self.large = {}  # sha256 -> content
        self.renamed = {}  # old id -> new id
        self.requests, self.faults, self.sent = [], [], 0
        self.token, self.tree_override = None, None
        self.server, self.cdn = Server(self, False), Server(self, True)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.cdn_url = "http://127.0.0.1:%d" % self.cdn.server_port

    def close(self):
        self.released.set()
        for server in (self.server, self.cdn):
            server.shutdown()
            server.server_close()

    def speak_tls(self, certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        for server in (self.server, self.cdn):
            server.socket = context.wrap_socket(server.socket, server_side=True,
                                                do_handshake_on_connect=False)
        self.url = self.url.replace("http:", "https:")
        self.cdn_url = self.cdn_url.replace("http:", "https:")

    @property
    def accepted(self):
        return self.server.accepted + self.cdn.accepted

    def add(self, model, files, revision="main"):
        """A commit that REVISION names from now on."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.models.setdefault(model, {})[revision] = commit
        self.commits[commit] = dict(files)
        for path, content in files.items():
            if is_large(path):
                self.large[hashlib.sha256(content).hexdigest()] = content
        return commit

    def commit_of(self, model, revision):
        commit = self.models[model].get(revision, revision)
        return commit if commit in self.commits else None

    def take_fault(self, method, path):
        for fault in self.faults:
            if fault.where in path and fault.times > 0 and fault.method in (None, method):
                fault.times -= 1
                return fault
        return None

    def row(self, path, content):
        row = {"type": "file", "path": path, "size": len(content),
               "oid": git_sha1(content)}
        if is_large(path):
            sha256 = hashlib.sha256(content).hexdigest()
            row["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
            row["oid"] = git_sha1(b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
                                  % (sha256.encode(), len(content)))
        return row
