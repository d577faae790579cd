package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CgroupOff as Config.CgroupRoot makes the runner use no cgroups.
const CgroupOff = "off"

// folders lists the distinct folders, Tree first.
func (c cgroupSet) folders() []string {
	var list []string
	for _, d := range []string{c.Tree, c.Memory, c.CPU, c.PIDs} {
		if d != "" && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// cgroupMount is one line of mountinfo that is a cgroup hierarchy, with this process's own folder in it.
type cgroupMount struct {
	unified     bool
	controllers []string // of a v1 hierarchy, "name=systemd" too
	own         string
}

// detectCgroups finds where folders for units can be made: the base folder of each use, "" where none is writable.
func detectCgroups(root, installation string) cgroupSet {
	if root == CgroupOff {
		return cgroupSet{}
	}
	name := "greengate-" + installation
	if root != "" {
		return unifiedBase(root, name)
	}
	mounts := cgroupMounts()
	var set cgroupSet
	for _, m := range mounts {
		if m.unified {
			set = unifiedBase(m.own, name)
		}
	}
	legacy := func(controller string) string {
		for _, m := range mounts {
			if slices.Contains(m.controllers, controller) {
				return makeBase(filepath.Join(m.own, name))
			}
		}
		return ""
	}
	for to, controller := range map[*string]string{&set.Memory: "memory", &set.CPU: "cpu", &set.PIDs: "pids"} {
		if *to == "" {
			*to = legacy(controller)
		}
	}
	for _, controller := range []string{"freezer", "pids", "name=systemd"} {
		if set.Tree == "" {
			set.Tree = legacy(controller)
		}
	}
	return set
}

// unifiedBase makes the base folder in a v2 hierarchy and switches on the controllers that can be had there.
func unifiedBase(parent, name string) cgroupSet {
	// A runner that had to move into a leaf of its own (below) finds the units' folder beside that leaf.
	if filepath.Base(parent) == runnerLeaf {
		parent = filepath.Dir(parent)
	}
	base := makeBase(filepath.Join(parent, name))
	if base == "" {
		return cgroupSet{}
	}
	set := cgroupSet{Tree: base}
	for to, controller := range map[*string]string{&set.Memory: "memory", &set.CPU: "cpu", &set.PIDs: "pids"} {
		if enableController(parent, base, controller) {
			*to = base
		}
	}
	return set
}

// runnerLeaf is the cgroup that the runner moves itself to where it is alone in a delegated one: a v2 cgroup that has
// processes of its own cannot give controllers to its children.
const runnerLeaf = "greengate-runner"

// enableController hands a v2 controller down from parent through base to the units.
func enableController(parent, base, controller string) bool {
	if !hasWord(filepath.Join(parent, "cgroup.controllers"), controller) {
		return false
	}
	control := filepath.Join(parent, "cgroup.subtree_control")
	if !hasWord(control, controller) {
		err := writeControl(control, "+"+controller)
		if errors.Is(err, unix.EBUSY) && leaveAlone(parent) {
			err = writeControl(control, "+"+controller)
		}
		if err != nil {
			return false
		}
	}
	return writeControl(filepath.Join(base, "cgroup.subtree_control"), "+"+controller) == nil
}

// leaveAlone moves this process out of a cgroup in which it is the only one.
func leaveAlone(parent string) bool {
	pids, err := cgroupPIDs(parent)
	if err != nil || len(pids) != 1 || pids[0] != os.Getpid() {
		return false
	}
	leaf := makeBase(filepath.Join(parent, runnerLeaf))
	return leaf != "" && writeControl(filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(os.Getpid())) == nil
}

// makeBase makes a cgroup folder and proves that it works; "" if not.
func makeBase(dir string) string {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // a cgroup's folder is no secret
		return ""
	}
	f, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0) //nolint:gosec // path made here
	if err != nil {
		return ""
	}
	_ = f.Close()
	return dir
}

// cgroupMounts reads where the hierarchies are mounted and where this process is in them.
func cgroupMounts() []cgroupMount {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	return parseCgroupMounts(string(info), string(own))
}

func parseCgroupMounts(mountinfo, own string) []cgroupMount {
	paths := map[string]string{} // controller (or "" for v2) to this process's path
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			paths[c] = f[2]
		}
	}
	var mounts []cgroupMount
	for line := range strings.Lines(mountinfo) {
		front, back, ok := strings.Cut(strings.TrimSpace(line), " - ")
		f, b := strings.Fields(front), strings.Fields(back)
		if !ok || len(f) < 6 || len(b) < 3 {
			continue
		}
		root, point := f[3], f[4]
		switch b[0] {
		case "cgroup2":
			if path, ok := paths[""]; ok {
				mounts = append(mounts, cgroupMount{unified: true, own: cgroupPath(root, point, path)})
			}
		case "cgroup":
			if m, ok := legacyMount(root, point, b[2], paths); ok {
				mounts = append(mounts, m)
			}
		}
	}
	return mounts
}

func legacyMount(root, point, options string, paths map[string]string) (cgroupMount, bool) {
	m := cgroupMount{}
	for o := range strings.SplitSeq(options, ",") {
		path, ok := paths[o]
		if o == "" || !ok {
			continue
		}
		m.controllers = append(m.controllers, o)
		m.own = cgroupPath(root, point, path)
	}
	return m, len(m.controllers) > 0
}

// cgroupPath is where the cgroup path is seen below the mount point.
func cgroupPath(root, point, path string) string {
	if root != "/" {
		path = strings.TrimPrefix(path, root)
	}
	return filepath.Join(point, path)
}

// makeCgroups makes the folders of one unit below the bases and sets the limits asked for.
func makeCgroups(base cgroupSet, unit string, lim Limits) (cgroupSet, error) {
	var set cgroupSet
	want := map[*string]string{&set.Tree: base.Tree}
	if lim.MemoryBytes > 0 {
		want[&set.Memory] = base.Memory
	}
	if lim.CPU > 0 {
		want[&set.CPU] = base.CPU
	}
	if lim.PIDs > 0 {
		want[&set.PIDs] = base.PIDs
	}
	for to, dir := range want {
		if dir == "" {
			continue
		}
		*to = filepath.Join(dir, unit)
		if err := os.MkdirAll(*to, 0o755); err != nil { //nolint:gosec // a cgroup's folder is no secret
			return set, fmt.Errorf("make cgroup: %w", err)
		}
	}
	return set, nil
}

// limit writes the limits and says which hold and which do not.
func (c cgroupSet) limit(lim Limits) (enforced, not []string) {
	note := func(name string, asked bool, dir string, set func() error) {
		switch {
		case !asked:
		case dir == "":
			not = append(not, name+": no writable cgroup with this controller")
		default:
			if err := set(); err != nil {
				not = append(not, name+": "+err.Error())
				return
			}
			enforced = append(enforced, name+": cgroup "+dir)
		}
	}
	note("cpu", lim.CPU > 0, c.CPU, func() error { return limitCPU(c.CPU, lim.CPU) })
	note("memory", lim.MemoryBytes > 0, c.Memory, func() error { return limitMemory(c.Memory, lim.MemoryBytes) })
	note("pids", lim.PIDs > 0, c.PIDs, func() error {
		return writeControl(filepath.Join(c.PIDs, "pids.max"), strconv.FormatInt(lim.PIDs, 10))
	})
	return enforced, not
}

const cpuPeriod = 100_000 // microseconds, the kernel's default

func limitCPU(dir string, cores float64) error {
	quota := strconv.Itoa(max(int(cores*cpuPeriod), 1000)) // the kernel refuses less than 1 ms
	if isUnified(dir) {
		return writeControl(filepath.Join(dir, "cpu.max"), quota+" "+strconv.Itoa(cpuPeriod))
	}
	if err := writeControl(filepath.Join(dir, "cpu.cfs_period_us"), strconv.Itoa(cpuPeriod)); err != nil {
		return err
	}
	return writeControl(filepath.Join(dir, "cpu.cfs_quota_us"), quota)
}

func limitMemory(dir string, n int64) error {
	text := strconv.FormatInt(n, 10)
	if isUnified(dir) {
		// Without this the limit only moves memory to swap. Kernels without swap accounting lack the file.
		_ = writeControl(filepath.Join(dir, "memory.swap.max"), "0")
		return writeControl(filepath.Join(dir, "memory.max"), text)
	}
	return writeControl(filepath.Join(dir, "memory.limit_in_bytes"), text)
}

// join moves a process with all its threads into the cgroups.
func (c cgroupSet) join(pid int) error {
	for _, dir := range c.folders() {
		if err := writeControl(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// oomKills is the number of processes that the kernel has killed at the memory limit so far.
func (c cgroupSet) oomKills() int {
	if c.Memory == "" {
		return 0
	}
	file := "memory.oom_control"
	if isUnified(c.Memory) {
		file = "memory.events"
	}
	data, err := os.ReadFile(filepath.Join(c.Memory, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			n, _ := strconv.Atoi(count)
			return n
		}
	}
	return 0
}

// remove removes the folders; they must be empty, which the kernel may notice a little later.
func (c cgroupSet) remove() {
	for _, dir := range c.folders() {
		for range 20 {
			err := os.Remove(dir)
			if err == nil || !errors.Is(err, unix.EBUSY) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// removeEmpty removes base folders that no unit needs.
func (c cgroupSet) removeEmpty() {
	for _, dir := range c.folders() {
		_ = os.Remove(dir) // the kernel refuses while a unit is in it
	}
}

func isUnified(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.type"))
	return err == nil
}

// cgroupPIDs lists the processes of a cgroup; none if it does not exist.
func cgroupPIDs(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")) //nolint:gosec // path made here
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list cgroup: %w", err)
	}
	var pids []int
	for f := range bytes.FieldsSeq(data) {
		if pid, err := strconv.Atoi(string(f)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func hasWord(path, word string) bool {
	data, err := os.ReadFile(path) //nolint:gosec // path made here
	return err == nil && slices.Contains(strings.Fields(string(data)), word)
}

func writeControl(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // path made here
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
