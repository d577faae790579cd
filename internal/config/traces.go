package config

import "strconv"

// traceVariables are the variables of OpenTelemetry that the exporter of traces understands
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and …/configuration/sdk-environment-variables/).
func traceVariables() []string {
	list := []string{
		"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
	}
	for _, of := range []string{
		"ENDPOINT", "INSECURE", "HEADERS", "TIMEOUT", "COMPRESSION", "PROTOCOL", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY",
	} {
		list = append(list, "OTEL_EXPORTER_OTLP_"+of, "OTEL_EXPORTER_OTLP_TRACES_"+of)
	}
	return list
}

// TraceEnvironment are the variables, KEY=VALUE, that the exporter of traces is to have. None says that there are no
// traces: no endpoint is named, or they are switched off (OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER). They may hold secrets.
func TraceEnvironment(environ func(string) string) []string {
	if firstOf(environ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), environ("OTEL_EXPORTER_OTLP_ENDPOINT")) == "" {
		return nil
	}
	off, err := strconv.ParseBool(environ("OTEL_SDK_DISABLED"))
	if by := environ("OTEL_TRACES_EXPORTER"); err == nil && off || by != "" && by != "otlp" {
		return nil
	}
	var list []string
	for _, name := range traceVariables() {
		if v := environ(name); v != "" {
			list = append(list, name+"="+v)
		}
	}
	return list
}
