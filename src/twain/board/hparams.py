"""Hyperparameters as TensorBoard's HPARAMS page reads them: which there are, what this run's were, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

Domain = Sequence[Any]


def _kind(function: str, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, str):
        return "STRING"
    if isinstance(value, (int, float)):
        return "FLOAT64"
    raise TypeError(
        f"[{function}] expected numbers, strings or bools as hyperparameters, got {type(value).__name__} for {name!r}"
    )


def plain(value: Any) -> Any:
    """NumPy's numbers, tensors of one element and functions as what the page can show."""
    if value is None or isinstance(value, (bool, str, int, float)):
        return value
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return value.item()
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    return value


def summaries(
    function: str, hparams: Mapping[str, Any], metrics: Sequence[str], domains: Mapping[str, Domain]
) -> list[Any]:
    """The three messages: experiment, start of the session, its end."""
    from tensorboardX.proto import api_pb2 as api
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    unknown = [name for name in domains if name not in hparams]
    if unknown:
        raise ValueError(f"[{function}] expected domains of {', '.join(hparams)}, got one of {unknown[0]!r}")
    start = SessionStartInfo(start_time_secs=time.time())
    infos = []
    for name, given in hparams.items():
        value = plain(given)
        if value is None:  # not set in this run
            continue
        kind = _kind(function, name, value)
        field = {"BOOL": "bool_value", "STRING": "string_value", "FLOAT64": "number_value"}[kind]
        setattr(start.hparams[name], field, value)
        info = api.HParamInfo(name=name, type=api.DataType.Value(f"DATA_TYPE_{kind}"))
        if name in domains:
            _limit(function, info, name, domains[name], kind)
        infos.append(info)
    named = [api.MetricInfo(name=api.MetricName(tag=tag)) for tag in metrics]
    experiment = api.Experiment(hparam_infos=infos, metric_infos=named, time_created_secs=time.time())
    end = SessionEndInfo(status=api.Status.Value("STATUS_SUCCESS"), end_time_secs=time.time())

    def summary(tag: str, **content: Any) -> Any:
        data = HParamsPluginData(version=0, **content).SerializeToString()
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data)
        return Summary(value=[Summary.Value(tag=f"_hparams_/{tag}", metadata=SummaryMetadata(plugin_data=plugin))])

    return [
        summary("experiment", experiment=experiment),
        summary("session_start_info", session_start_info=start),
        summary("session_end_info", session_end_info=end),
    ]


def _limit(function: str, info: Any, name: str, domain: Domain, kind: str) -> None:
    """A tuple of two numbers is an interval, a list (or anything else that counts up) the values."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in domain)
    if isinstance(domain, tuple) and len(domain) == 2 and numbers:
        if not domain[0] <= domain[1]:
            raise ValueError(f"[{function}] expected an interval (low, high) for {name!r}, got {domain!r}")
        info.domain_interval.min_value, info.domain_interval.max_value = domain
        return
    for value in domain:
        if _kind(function, name, plain(value)) != kind:
            raise TypeError(f"[{function}] expected values like the run's own in the domain of {name!r}, got {value!r}")
        info.domain_discrete.values.add(
            **{{"BOOL": "bool_value", "STRING": "string_value", "FLOAT64": "number_value"}[kind]: plain(value)}
        )


__all__ = ["Domain", "plain", "summaries"]
