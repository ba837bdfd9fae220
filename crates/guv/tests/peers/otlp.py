"""Reads metrics in the JSON encoding of OTLP, strictly, and writes a line for each point."""

import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


def text(attributes):
    return ",".join(sorted(f"{one.key}={one.value.string_value}" for one in attributes))


request = json_format.Parse(sys.stdin.read(), ExportMetricsServiceRequest())
for resource in request.resource_metrics:
    print(text(resource.resource.attributes))
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.gauge.data_points:
                print(metric.name, text(point.attributes), point.as_double, point.time_unix_nano > 1.6e18)
