package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// model is the part of a service model that we use.
type model struct {
	Metadata   metadata                  `json:"metadata"`
	Operations map[string]modelOperation `json:"operations"`
	Shapes     map[string]modelShape     `json:"shapes"`
}

type metadata struct {
	APIVersion     string    `json:"apiVersion"`
	EndpointPrefix string    `json:"endpointPrefix"`
	JSONVersion    string    `json:"jsonVersion"`
	Protocols      []string  `json:"protocols"`
	ServiceID      string    `json:"serviceId"`
	SigningName    string    `json:"signingName"`
	TargetPrefix   string    `json:"targetPrefix"`
	XMLNamespace   string    `json:"xmlNamespace"`
	QueryErrors    *struct{} `json:"awsQueryCompatible"`
}

type modelOperation struct {
	Name string `json:"name"`
	HTTP struct {
		Method string `json:"method"`
		URI    string `json:"requestUri"`
		Status int    `json:"responseCode"`
	} `json:"http"`
	Input  *shapeRef  `json:"input"`
	Output *shapeRef  `json:"output"`
	Errors []shapeRef `json:"errors"`
}

// shapeRef is a member, or another place that names a shape.
type shapeRef struct {
	Shape           string `json:"shape"`
	Location        string `json:"location"`
	LocationName    string `json:"locationName"`
	Flattened       bool   `json:"flattened"`
	Streaming       bool   `json:"streaming"`
	XMLAttribute    bool   `json:"xmlAttribute"`
	TimestampFormat string `json:"timestampFormat"`
	// ResultWrapper is only at the output of an operation.
	ResultWrapper string `json:"resultWrapper"`
}

type modelShape struct {
	Type            string              `json:"type"`
	Members         map[string]shapeRef `json:"members"`
	Member          *shapeRef           `json:"member"`
	Key             *shapeRef           `json:"key"`
	Value           *shapeRef           `json:"value"`
	Required        []string            `json:"required"`
	Enum            []string            `json:"enum"`
	Min             *json.Number        `json:"min"`
	Max             *json.Number        `json:"max"`
	Payload         string              `json:"payload"`
	Flattened       bool                `json:"flattened"`
	Streaming       bool                `json:"streaming"`
	Document        bool                `json:"document"`
	EventStream     bool                `json:"eventstream"`
	TimestampFormat string              `json:"timestampFormat"`
	Fault           bool                `json:"fault"`
	Error           struct {
		Code        string `json:"code"`
		Status      int    `json:"httpStatusCode"`
		SenderFault bool   `json:"senderFault"`
	} `json:"error"`
}

func readModel(path string) (*model, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a developer's own argument
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("unpack model %s: %w", path, err)
		}
		if data, err = io.ReadAll(z); err != nil {
			return nil, fmt.Errorf("unpack model %s: %w", path, err)
		}
	}
	var m model
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("parse model %s: %w", path, err)
	}
	return &m, nil
}
