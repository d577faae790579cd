package supervise

import (
	"errors"
	"fmt"
	"strings"
)

// maxDatagram is the largest notify datagram that is read; systemd's NOTIFY_BUFFER_MAX is a page as well.
const maxDatagram = 4096

// message is a parsed notify datagram, as sd_notify(3) describes them. Unknown assignments are ignored.
type message struct {
	Ready    bool
	Status   string
	HasText  bool // STATUS= was given, perhaps empty
	Store    bool // FDSTORE=1
	Remove   bool // FDSTOREREMOVE=1
	Down     bool // StateDown
	End      bool // X_GREENGATE_END=1, the last one of a handing-over
	NotReady bool // READY=0, only in a handing-over
	Name     string
}

const stateEnd = "X_GREENGATE_END=1"

// parseMessage reads one datagram: lines KEY=VALUE.
func parseMessage(b []byte) (message, error) {
	var m message
	if len(b) > maxDatagram {
		return m, fmt.Errorf("notify datagram is longer than %d bytes", maxDatagram)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return message{}, fmt.Errorf("notify datagram holds %.40q, which is no assignment", line)
		}
		m.assign(key, value)
	}
	if m.Store && m.Remove {
		return message{}, errors.New("notify datagram has both FDSTORE=1 and FDSTOREREMOVE=1")
	}
	return m, nil
}

func (m *message) assign(key, value string) {
	switch key {
	case "READY":
		m.Ready, m.NotReady = value == "1", value == "0"
	case "STATUS":
		m.Status, m.HasText = value, true
	case "FDSTORE":
		m.Store = value == "1"
	case "FDSTOREREMOVE":
		m.Remove = value == "1"
	case "FDNAME":
		m.Name = DecodeName(value)
	case "X_GREENGATE_DOWN":
		m.Down = value == "1"
	case "X_GREENGATE_END":
		m.End = value == "1"
	}
}
