"""Which alerts would ring, by Prometheus's own tool: what a node told before and after something went wrong, over an hour."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.nodes import ROOT

ALERTS = ROOT / "docs" / "ops" / "alerts.yml"
# Minutes: the change comes after 20, and whoever waits for a while has done so by the last of these.
_CHANGE, _END = 20, 60
_LOOKS = (22, 25, 28, 32, 36)
_COUNTED = re.compile(r"_(total|count|sum|bucket)\{")


def names_of_alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", ALERTS.read_text())


def ringing(before: str, after: str, folder: Path, *, lasting: bool = False) -> set[str]:
    """The names of all alerts that ring at some time, where `/metrics` first gave `before` and then `after`.

    An empty text is a node that didn't answer. `lasting`: what was counted between the two is counted again in each minute.
    """
    old, new = _samples(before), _samples(after)
    series = []
    for name, value in new.items():
        # A series that wasn't there has no value then, as for Prometheus.
        first = f"{old[name]}+0x{_CHANGE}" if name in old else f"_x{_CHANGE}"
        grows = lasting and name in old and _COUNTED.search(name)
        growth = value - old[name] if grows else 0
        series.append(f"      - series: '{name}'\n        values: '{first} {value}+{growth}x{_END}'\n")
    looks = [
        f"      - eval_time: {minutes}m\n        alertname: {alert}\n        exp_alerts: []\n"
        for alert in names_of_alerts()
        for minutes in _LOOKS
    ]
    test = folder / "alerts-test.yml"
    test.write_text(
        f"rule_files: [{ALERTS}]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n"
        f"{''.join(series)}    alert_rule_test:\n{''.join(looks)}"
    )
    done = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, timeout=60)
    # It fails for each alert that rings, since none is expected.
    found = set(re.findall(r'alertname="(\w+)"', done.stdout + done.stderr))
    assert found or done.returncode == 0, done.stdout + done.stderr
    return found


def _samples(metrics: str) -> Mapping[str, float]:
    # Prometheus's own word on a scrape.
    found = {'up{instance="node:9464",job="sftp-gateway"}': float(bool(metrics))}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            labels = {**sample.labels, "instance": "node:9464", "job": "sftp-gateway"}
            written = ",".join(f'{name}="{value}"' for name, value in labels.items())
            found[f"{sample.name}{{{written}}}"] = sample.value
    return found
