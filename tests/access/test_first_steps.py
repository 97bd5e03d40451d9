"""What the commands say to somebody who has only begun, and to somebody whose surroundings are not as the file says."""

import json
import os
import socket
import subprocess

from conftest import BINARY


def run(folder, *words, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    return subprocess.run([BINARY, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_explain_needs_no_configuration(tmp_path):
    request = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
    (tmp_path / "body.json").write_text(json.dumps(request))
    told = run(tmp_path, "explain", "--request", "body.json", "--json", OPENAI_API_KEY="sk-test")
    assert told.returncode == 0, told.stderr
    assert [one["target"] for one in json.loads(told.stdout)["targets"]] == ["openai/gpt-4o-mini"]
    named = run(tmp_path, "explain", "--config", "absent.yaml", "--request", "body.json", OPENAI_API_KEY="sk-test")
    assert named.returncode == 1 and "absent.yaml" in named.stderr


def test_check_reads_the_files_that_serving_reads(tmp_path):
    (tmp_path / "tollgate.yaml").write_text(
        "server:\n  tls:\n    certificate: a.pem\n    key: b.pem\n"
        "authentication:\n  certificates:\n    ca: c.pem\n    map: [{ subject_cn: robot, team: search }]\n"
    )
    checked = run(tmp_path, "check", "tollgate.yaml")
    assert checked.returncode == 1, checked.stdout
    assert "tollgate.yaml:3:" in checked.stderr and "server.tls.certificate  a.pem: " in checked.stderr
    assert "tollgate.yaml:7:" in checked.stderr and "authentication.certificates.ca  c.pem: " in checked.stderr
    told = json.loads(run(tmp_path, "check", "--json", "tollgate.yaml").stdout)
    paths = [error["path"] for error in told["errors"]]
    assert not told["good"] and paths == ["server.tls.certificate", "authentication.certificates.ca"]
    served = run(tmp_path, "serve", "--config", "tollgate.yaml", "--listen", "127.0.0.1:0")
    assert served.returncode == 1 and "server.tls.certificate: a.pem: " in served.stderr


def test_an_address_that_is_taken_is_told_once_with_the_remedy(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        served = run(tmp_path, "serve", "--listen", address)
    assert served.returncode == 1
    assert served.stderr.count("Address already in use") == 1, served.stderr
    assert address in served.stderr and "--listen or server.listen" in served.stderr
