package supervise

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	maxEncodedName = 255    // systemd's FDNAME_MAX
	maxListenFDs   = 100000 // above any real count; keeps a wrong LISTEN_FDS from making us walk for ever
)

// EncodeName makes a socket name fit for FDNAME= and LISTEN_FDNAMES: every byte outside letters, digits and "-._/@+,"
// becomes %XX. It refuses an empty name and one longer than 255 bytes when encoded (systemd's limit).
func EncodeName(name string) (string, error) {
	if name == "" {
		return "", errors.New("a socket needs a name")
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if isPlain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > maxEncodedName {
		return "", fmt.Errorf("socket name %.40q… is %d bytes long when encoded, the limit is %d", name, b.Len(), maxEncodedName)
	}
	return b.String(), nil
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._/@+,", c) >= 0
}

// DecodeName is the reverse of EncodeName. A '%' that starts no %XX stands for itself, since systemd units may carry
// names that EncodeName never made.
func DecodeName(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// listenNames reads LISTEN_FDS and LISTEN_FDNAMES: one decoded, unique name a descriptor. As in
// sd_listen_fds_with_names(3) absent names are "unknown" and a count that differs is an error. A name that comes again
// (a .socket unit with two ListenStream= lines) gets "#2", "#3" …
func listenNames(count, names string) ([]string, error) {
	if count == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(count, 10, 31)
	if err != nil || n > maxListenFDs {
		return nil, fmt.Errorf("LISTEN_FDS is %q: not a count of descriptors", count)
	}
	list := make([]string, n)
	if names == "" {
		for i := range list {
			list[i] = "unknown"
		}
	} else {
		parts := strings.Split(names, ":")
		if len(parts) != len(list) {
			return nil, fmt.Errorf("LISTEN_FDNAMES has %d names and LISTEN_FDS is %d", len(parts), n)
		}
		for i, p := range parts {
			list[i] = DecodeName(p)
		}
	}
	return unique(list), nil
}

// unique numbers the names that repeat an earlier one.
func unique(list []string) []string {
	taken := make(map[string]bool, len(list))
	for _, name := range list {
		taken[name] = true
	}
	seen := make(map[string]int, len(list))
	for i, name := range list {
		seen[name]++
		if seen[name] == 1 {
			continue
		}
		next := fmt.Sprintf("%s#%d", name, seen[name])
		for taken[next] {
			seen[name]++
			next = fmt.Sprintf("%s#%d", name, seen[name])
		}
		taken[next] = true
		list[i] = next
	}
	return list
}

// joinNames is the value of LISTEN_FDNAMES for names that EncodeName accepts.
func joinNames(names []string) (string, error) {
	enc := make([]string, len(names))
	for i, n := range names {
		e, err := EncodeName(n)
		if err != nil {
			return "", err
		}
		enc[i] = e
	}
	return strings.Join(enc, ":"), nil
}
