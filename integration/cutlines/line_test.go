//go:build integration

package cutlines

import (
	"sync"
	"time"
)

// The lines of the platform, each named for who asks and who answers.
const (
	clientToIntake = "client-intake"
	intakeToStore  = "intake-store"
	intakeToSink   = "intake-sink"
	sourceToProv   = "source-provision"
	provToStore    = "provision-store"
	provToSink     = "provision-sink"
	sourceToNotify = "source-notify"
	notifyToStore  = "notify-store"
	notifyToSink   = "notify-sink"
)

var lineNames = []string{clientToIntake, intakeToStore, intakeToSink, sourceToProv, provToStore, provToSink, sourceToNotify, notifyToStore, notifyToSink}

const (
	longestSilence  = 30 * time.Second // of a line on which nothing is answered any more
	mostAnswersEver = 500              // of one line in one life
)

// cut is how an exchange on a line goes.
type cut uint8

const (
	whole      cut = iota // asked and answered
	answerLost            // it takes effect, and nobody is told
	answerTorn            // half of the answer's bytes arrive
	callLost              // nothing takes effect, and nobody is told
	silence               // it takes effect, and the connection stays, without an answer
)

var cuts = map[cut]string{answerLost: "answer lost", answerTorn: "answer torn", callLost: "call lost"}

// line counts the exchanges between two parties, and cuts one of them.
type line struct {
	mu       sync.Mutex
	asked    int
	answered int
	at       int // which exchange is cut; 0: none
	how      cut
	fired    chan struct{} // closed when it was cut
	delay    time.Duration // before each answer
}

func newLine() *line { return &line{fired: make(chan struct{})} }

// arm forgets what was counted, and cuts the n-th exchange from now on.
func (l *line) arm(n int, how cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.answered, l.at, l.how, l.fired = 0, 0, n, how, make(chan struct{})
}

// ask notes a call and reports whether it is to be lost.
func (l *line) ask() (lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return l.how == callLost && l.asked == l.at && l.fire()
}

// answer notes an answer and says what becomes of it.
func (l *line) answer() cut {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
	if l.how != callLost && l.answered == l.at && l.fire() {
		return l.how
	}
	return whole
}

// fire notes that the line is cut now. It is true.
func (l *line) fire() bool {
	close(l.fired)
	return true
}

// wasCut is closed when the line was cut as it was last armed.
func (l *line) wasCut() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fired
}

// answers is how many there were since the line was armed.
func (l *line) answers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// slow makes every answer take that much longer.
func (l *line) slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

func (l *line) delayed() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay
}
