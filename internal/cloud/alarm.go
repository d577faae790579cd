package cloud

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// MaxAlarmHistory is how many events of an alarm are kept.
const MaxAlarmHistory = 100

// Types of an AlarmEvent (HistoryItemType of the CloudWatch model).
const (
	AlarmConfigured = "ConfigurationUpdate"
	AlarmMoved      = "StateUpdate"
	AlarmActed      = "Action"
)

// AlarmEvent is an item of an alarm's history.
type AlarmEvent struct {
	At      time.Time       `json:"at"`
	Type    string          `json:"type"`
	Summary string          `json:"summary"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// AlarmQuery is a statistic of a metric, or an expression over others; the alarm is on the one that Watched marks.
type AlarmQuery struct {
	ID         string            `json:"id"`
	Expression string            `json:"expression,omitempty"`
	Namespace  string            `json:"namespace,omitempty"`
	Metric     string            `json:"metric,omitempty"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Statistic  string            `json:"statistic,omitempty"`
	Watched    bool              `json:"watched,omitempty"`
}

// Noted is the alarm with one event more.
func (a Alarm) Noted(ev AlarmEvent) Alarm {
	a.History = append(slices.Clone(a.History), ev)
	a.History = a.History[max(0, len(a.History)-MaxAlarmHistory):]
	return a
}

// alarmState is a state in the data of a history item, as CloudWatch writes it.
type alarmState struct {
	State  string          `json:"stateValue"`
	Reason string          `json:"stateReason"`
	Data   json.RawMessage `json:"stateReasonData,omitempty"`
}

// Moved is the alarm in a state. Where it was in another one before, that is noted. data is JSON, or empty.
func (a Alarm) Moved(state, reason, data string, at time.Time) Alarm {
	old := alarmState{State: a.State, Reason: a.Reason, Data: rawJSON(a.ReasonData)}
	was := a.State
	a.State, a.Reason, a.ReasonData = state, reason, data
	if was == state {
		return a
	}
	a.StateSince = at
	text, err := json.Marshal(map[string]any{
		"version": "1.0", "oldState": old, "newState": alarmState{State: state, Reason: reason, Data: rawJSON(data)},
	})
	if err != nil { // of strings and valid JSON never
		text = nil
	}
	return a.Noted(AlarmEvent{At: at, Type: AlarmMoved, Summary: fmt.Sprintf("Alarm updated from %s to %s", was, state), Data: text})
}

// rawJSON is text where it is JSON, else a string of it.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return quoted
}
