package runner

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
)

func TestParseEnvFile(t *testing.T) {
	t.Parallel()
	got, err := parseEnvFile("f", []byte("\ufeff# comment\nA=1\n\n export B = two words # kept \r\nC=\"q # q\"\nD='x'\nE=\nA=2\nF==\n"))
	want := map[string]string{"A": "2", "B": "two words # kept", "C": "q # q", "D": "x", "E": "", "F": "="}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
	_, err = parseEnvFile("app.env", []byte("A=1\nnothing\n1X=2\nQ=\"open\n"))
	for _, want := range []string{"app.env:2: no '='", "app.env:3: bad name", "app.env:4: value of Q begins with a quote"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func FuzzParseEnvFile(f *testing.F) {
	for _, seed := range []string{"A=1\n", "export A='x y'\r\n#c\n\nB=", "=", "A", "\ufeffA=\"\"", "A=\x00", "A=\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := parseEnvFile("file", data)
		if err != nil {
			if env != nil || !strings.Contains(err.Error(), "file:") {
				t.Errorf("error %v with %v", err, env)
			}
			return
		}
		for k, v := range env {
			if !validEnvKey(k) || strings.ContainsAny(v, "\x00\n") {
				t.Errorf("accepted %q=%q", k, v)
			}
			// What was read can be written and read again, unless quotes or spaces have a meaning then.
			if v != strings.Trim(v, " \t\r\"'") || strings.TrimSpace(v) != v {
				continue
			}
			again, err := parseEnvFile("again", []byte(k+"="+v+"\n"))
			if err != nil || again[k] != v {
				t.Errorf("%q=%q read again as %q, %v", k, v, again[k], err)
			}
		}
	})
}

func TestParseMatcher(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[int]bool{
		"":            {200: true, 201: false},
		"200":         {200: true, 204: false},
		"200, 204":    {200: true, 204: true, 203: false},
		"200-299":     {200: true, 299: true, 300: false, 199: false},
		"200-299,404": {404: true, 403: false},
	} {
		m, err := parseMatcher(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		for status, ok := range want {
			if m.matches(status) != ok {
				t.Errorf("%q matches %d: %v", text, status, !ok)
			}
		}
	}
	for _, text := range []string{"20", "2000", "299-200", "200-", "-200", "abc", "200,", "099", "600", "200--299", "+20"} {
		if m, err := parseMatcher(text); err == nil {
			t.Errorf("%q accepted as %v", text, m)
		}
	}
}

func FuzzParseMatcher(f *testing.F) {
	for _, seed := range []string{"", "200", "200,204", "200-299", "2-3", ",", "-", "200-299-300"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMatcher(text)
		if err != nil {
			if m != nil {
				t.Error("matcher with error")
			}
			return
		}
		if len(m) == 0 || m.matches(99) || m.matches(600) || m.matches(0) {
			t.Errorf("%q matches nothing or too much: %v", text, m)
		}
		if !m.matches(m[0].low) || !m.matches(m[0].high) {
			t.Errorf("%q does not match its own ends", text)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"))
	f.Add([]byte("1 () Z"))
	f.Add([]byte(") ("))
	f.Fuzz(func(t *testing.T, data []byte) {
		ps, err := parseStat(data)
		if err != nil && ps != (procStat{}) {
			t.Error("status with error")
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	ps, err := parseStat([]byte("42 (a) (b c) Z 1 43 44 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n"))
	want := procStat{pid: 42, state: 'Z', parent: 1, group: 43, session: 44, start: 12345}
	if err != nil || ps != want || !ps.dead() {
		t.Errorf("got %+v %v, want %+v", ps, err, want)
	}
}

const procTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0300407F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1235 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1236 1 0 100 0 0 10 0
   3: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1237 1 0 100 0 0 10 0
`

const procTCP6 = `   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1238 1
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1239 1
`

func TestParseListeners(t *testing.T) {
	t.Parallel()
	var got []string
	for _, l := range append(parseListeners([]byte(procTCP), 8080), parseListeners([]byte(procTCP6), 8080)...) {
		got = append(got, l.addr.Addr().Unmap().String()+"#"+l.inode)
	}
	want := "127.64.0.3#1234 0.0.0.0#1235 ::#1238 127.0.0.1#1239"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzParseListeners(f *testing.F) {
	f.Add([]byte(procTCP), 8080)
	f.Add([]byte(procTCP6), 8080)
	f.Fuzz(func(t *testing.T, data []byte, port int) {
		for _, l := range parseListeners(data, port) {
			if !l.addr.IsValid() || int(l.addr.Port()) != port {
				t.Errorf("bad listener %+v for port %d", l, port)
			}
		}
	})
}

func TestParseCgroupMounts(t *testing.T) {
	t.Parallel()
	info := `30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 25 0:30 / /proc rw - proc proc rw
`
	own := "9:memory:/a\n8:cpu,cpuacct:/\n7:pids:/docker/abc/x\n0::/user.slice\n"
	var got []string
	for _, m := range parseCgroupMounts(info, own) {
		got = append(got, strings.Join(m.controllers, "+")+"="+m.own)
	}
	want := "memory=/sys/fs/cgroup/memory/a cpu+cpuacct=/sys/fs/cgroup/cpu,cpuacct pids=/sys/fs/cgroup/pids/x =/sys/fs/cgroup/unified/user.slice"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %v\nwant %v", strings.Join(got, " "), want)
	}
}

func FuzzParseCgroupMounts(f *testing.F) {
	f.Add("30 25 0:26 / /m rw - cgroup cgroup rw,memory\n", "9:memory:/a\n0::/\n")
	f.Fuzz(func(t *testing.T, info, own string) {
		for _, m := range parseCgroupMounts(info, own) {
			if !m.unified && len(m.controllers) == 0 {
				t.Error("hierarchy of nothing")
			}
		}
	})
}

func TestFileName(t *testing.T) {
	t.Parallel()
	a, b := fileName("a/b"), fileName("a:b")
	if a == b || strings.ContainsAny(a+b, "/:") || len(fileName(strings.Repeat("x", 200))) > 100 || fileName("..")[0] == '.' {
		t.Errorf("file names %q %q %q", a, b, fileName(".."))
	}
}

func TestAddressBook(t *testing.T) {
	t.Parallel()
	small := netip.MustParsePrefix("127.65.3.4/30")
	b := newAddressBook(small, netip.MustParsePrefix("10.9.8.0/28"), "x")
	seen := map[netip.Addr]bool{}
	for i := range 4 {
		addr, _, err := b.take(t.Context(), &Spec{ID: string(rune('a' + i))})
		if err != nil || seen[addr] || !small.Contains(addr) {
			t.Errorf("take %d: %s %v", i, addr, err)
		}
		seen[addr] = true
	}
	if _, _, err := b.take(t.Context(), &Spec{ID: "e"}); err == nil {
		t.Error("took a fifth of four")
	}
	for addr := range seen {
		b.release(&Spec{ID: "stranger"}, addr, 0)
	}
	if _, _, err := b.take(t.Context(), &Spec{ID: "e"}); err == nil {
		t.Error("a stranger's release freed an address")
	}
	nets := map[netip.Prefix]bool{}
	for i := range 4 {
		addr, _, err := b.take(t.Context(), &Spec{ID: "n" + string(rune('a'+i)), Network: NetworkNamespace})
		p := netip.PrefixFrom(addr, 30).Masked()
		if err != nil || nets[p] || p.Addr().Next().Next() != addr {
			t.Errorf("namespace address %s: %v", addr, err)
		}
		nets[p] = true
	}
}
