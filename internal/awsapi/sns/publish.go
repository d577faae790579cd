package sns

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/sns"
)

const (
	// maxMessage bounds a message with its attributes, and a whole batch, in bytes.
	maxMessage = 256 << 10
	// maxSubject bounds a subject, in characters.
	maxSubject = 100
	// maxBatch is the most entries of a batch.
	maxBatch = 10
	// maxAttributes is the most attributes of a message.
	maxAttributes = 100
)

func (s *Service) publishHandlers(h awsapi.Handlers) {
	h["Publish"] = awsapi.Handle(s.publish, func(in *shape.PublishInput) []string {
		if in.TopicARN == "" {
			return []string{in.TargetARN}
		}
		return []string{in.TopicARN}
	})
	h["PublishBatch"] = awsapi.Handle(s.publishBatch, func(in *shape.PublishBatchInput) []string { return []string{in.TopicARN} }).As("sns:Publish")
}

func (s *Service) publish(ctx context.Context, _ awsapi.Principal, in *shape.PublishInput) (*shape.PublishResponse, error) {
	if in.PhoneNumber != "" {
		return nil, invalid("PhoneNumber Reason: text messages are not served")
	}
	arn := in.TopicARN
	if arn == "" {
		arn = in.TargetARN
	}
	if _, err := s.topic(s.cfg.Resources.State(), arn); err != nil {
		return nil, err
	}
	m, err := message(shape.PublishBatchRequestEntry{
		Message: in.Message, Subject: in.Subject, MessageStructure: in.MessageStructure, MessageAttributes: in.MessageAttributes,
	})
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Delivery.Publish(ctx, arn, []Message{m}); err != nil {
		return nil, err
	}
	return &shape.PublishResponse{MessageID: m.ID}, nil
}

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func checkBatch(list []shape.PublishBatchRequestEntry) error {
	size, ids := 0, map[string]bool{}
	for _, e := range list {
		if !batchID.MatchString(e.ID) {
			return awsapi.Fault("InvalidBatchEntryIdException", "The Id of a batch entry in a batch request doesn't abide by the specification.")
		}
		if ids[e.ID] {
			return awsapi.Fault("BatchEntryIdsNotDistinctException", "Two or more batch entries in the request have the same Id.")
		}
		ids[e.ID] = true
		size += len(e.Message) + attributeSize(e.MessageAttributes)
	}
	switch {
	case len(list) == 0:
		return awsapi.Fault("EmptyBatchRequestException", "The batch request doesn't contain any entries.")
	case len(list) > maxBatch:
		return awsapi.Fault("TooManyEntriesInBatchRequestException", "The batch request contains more entries than permissible.")
	case size > maxMessage:
		return awsapi.Fault("BatchRequestTooLongException", "The length of all the batch messages put together is more than the limit.")
	}
	return nil
}

// publishBatch publishes what is well formed, all of it in one transaction, and says what is not.
func (s *Service) publishBatch(ctx context.Context, _ awsapi.Principal, in *shape.PublishBatchInput) (*shape.PublishBatchResponse, error) {
	if err := checkBatch(in.PublishBatchRequestEntries); err != nil {
		return nil, err
	}
	if _, err := s.topic(s.cfg.Resources.State(), in.TopicARN); err != nil {
		return nil, err
	}
	out := &shape.PublishBatchResponse{Successful: []shape.PublishBatchResultEntry{}, Failed: []shape.BatchResultErrorEntry{}}
	var list []Message
	for _, e := range in.PublishBatchRequestEntries {
		m, err := message(e)
		if fault, ok := errors.AsType[*awsapi.Error](err); ok {
			out.Failed = append(out.Failed, shape.BatchResultErrorEntry{
				ID: e.ID, Code: strings.TrimSuffix(fault.Name, "Exception"), Message: fault.Message, SenderFault: new(true),
			})
			continue
		}
		list = append(list, m)
		out.Successful = append(out.Successful, shape.PublishBatchResultEntry{ID: e.ID, MessageID: m.ID})
	}
	if len(list) == 0 {
		return out, nil
	}
	return out, s.cfg.Delivery.Publish(ctx, in.TopicARN, list)
}

// message checks a message and makes it what subscribers get.
func message(e shape.PublishBatchRequestEntry) (Message, error) {
	m := Message{ID: newUUID(), Subject: e.Subject, Body: e.Message}
	switch {
	case e.Message == "":
		return m, invalid("Empty message")
	case len(e.Message)+attributeSize(e.MessageAttributes) > maxMessage:
		return m, invalid("Message too long")
	case !utf8.ValidString(e.Message):
		return m, invalid("Message Reason: it is not UTF-8")
	case !validSubject(e.Subject):
		return m, invalid("Subject")
	case e.MessageStructure != "" && e.MessageStructure != "json":
		return m, invalid("MessageStructure Reason: it is json, or absent")
	}
	if e.MessageStructure == "json" {
		var err error
		if m.Body, m.PerProtocol, err = perProtocol(e.Message); err != nil {
			return m, err
		}
	}
	var err error
	m.Attributes, err = attributes(e.MessageAttributes)
	return m, err
}

// validSubject: up to 100 characters of ASCII, no line breaks or control characters; the first is no blank.
func validSubject(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return len(s) <= maxSubject && !strings.HasPrefix(s, " ")
}

// perProtocol reads a message of MessageStructure json: an object whose member "default" is there.
func perProtocol(text string) (fallback string, per map[string]string, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return "", nil, invalid("Message Structure - JSON message body failed to parse")
	}
	per = map[string]string{}
	for name, raw := range all {
		var s string
		if json.Unmarshal(raw, &s) == nil { // what is no string is ignored, as on AWS
			per[name] = s
		}
	}
	fallback, ok := per["default"]
	if !ok {
		return "", nil, invalid("Message Structure - No default entry in JSON message body")
	}
	delete(per, "default")
	return fallback, per, nil
}

func attributeSize(in map[string]shape.MessageAttributeValue) int {
	n := 0
	for name, v := range in {
		n += len(name) + len(v.DataType) + len(v.StringValue) + len(v.BinaryValue)
	}
	return n
}

var attributeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)

func attributes(in map[string]shape.MessageAttributeValue) (map[string]Attribute, error) {
	if len(in) > maxAttributes {
		return nil, awsapi.Fault("InvalidParameterValueException", "A message has at most %d attributes.", maxAttributes)
	}
	var out map[string]Attribute
	for name, v := range in {
		kind, _, _ := strings.Cut(v.DataType, ".")
		value := v.StringValue
		switch {
		case !attributeName.MatchString(name):
			return nil, awsapi.Fault("InvalidParameterValueException", "The name of the message attribute '%s' is not valid.", name)
		case kind == "Binary" && len(v.BinaryValue) > 0:
			value = base64.StdEncoding.EncodeToString(v.BinaryValue)
		case (kind == "String" || kind == "Number") && v.StringValue != "":
		default:
			return nil, awsapi.Fault("InvalidParameterValueException",
				"The message attribute '%s' needs the type String, Number or Binary and a value of it that is not empty.", name)
		}
		if out == nil {
			out = map[string]Attribute{}
		}
		out[name] = Attribute{Type: v.DataType, Value: value}
	}
	return out, nil
}
