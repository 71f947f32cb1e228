package probe

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc/<pid>/stat (USER_HZ, 100 wherever Go runs
// on Linux).
const tick = 10 * time.Millisecond

// longAgo is older than any process that only now begins to answer probes; a
// clock that says so is not that of this process.
const longAgo = time.Hour

// started is when this process was started, to 10 ms: earlier than any code of
// ours ran. Where the system does not tell (no Linux, a sandbox), it is now.
func started(proc string, now time.Time) time.Time {
	stat, err := os.ReadFile(filepath.Join(proc, "self/stat"))
	if err != nil {
		return now
	}
	uptime, err := os.ReadFile(filepath.Join(proc, "uptime"))
	if err != nil {
		return now
	}
	// The second field is the program's name in parentheses, which may hold
	// spaces; the start is field 22 (proc_pid_stat(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	up, _, _ := bytes.Cut(uptime, []byte(" "))
	if len(fields) < 20 {
		return now
	}
	ticks, err1 := strconv.ParseInt(string(fields[19]), 10, 64)
	seconds, err2 := strconv.ParseFloat(string(up), 64)
	age := time.Duration(seconds*float64(time.Second)) - time.Duration(ticks)*tick
	if err1 != nil || err2 != nil || age < 0 || age > longAgo {
		return now
	}
	return now.Add(-age)
}
