package config

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLocalOfAnEmptyEnvironment(t *testing.T) {
	environ(t, new(Local), nil)
	l, err := ReadLocal()
	if err != nil {
		t.Fatalf("ReadLocal() with nothing set: %v, want the defaults", err)
	}
	if l.Addr != "127.0.0.1:8080" || l.Data != ".kbnt" || l.DevUser != "developer" || l.KafkaBrokers != nil ||
		l.Speed != 10 || l.Sweep != 2*time.Second || l.Deadline != 10*time.Minute || l.Quota != (Quota{}) ||
		l.Segments != (VLANs{100, 199}) || l.Log != (Log{Level: slog.LevelInfo, Format: Text}) {
		t.Errorf("ReadLocal() with nothing set = %+v, want the defaults", l)
	}
}

func TestLocalReadsWhatIsSet(t *testing.T) {
	environ(t, new(Local), map[string]string{
		"KBNT_ADDR": ":0", "KBNT_KAFKA_ADDR": "localhost:9192", "KAFKA_BROKERS": "kafka-0:9092, kafka-1:9092",
		"KBNT_QUOTA_MACHINES": "10", "KBNT_QUOTA_IN_FLIGHT": "300", "KBNT_LOG_LEVEL": "debug", "KBNT_LOG_FORMAT": "json",
		"KBNT_SPEED": "0", "KBNT_SEGMENTS": "none", "KBNT_MAX_ATTEMPTS": "3",
	})
	l, err := ReadLocal()
	if err != nil {
		t.Fatal(err)
	}
	if l.Addr != "127.0.0.1:0" || l.KafkaAddr != "127.0.0.1:9192" || !slices.Equal(l.KafkaBrokers, Brokers{"kafka-0:9092", "kafka-1:9092"}) ||
		l.Quota != (Quota{Machines: 10, InFlight: 300}) || l.Log != (Log{Level: slog.LevelDebug, Format: JSON}) ||
		l.Speed != 0 || l.Segments != (VLANs{}) || l.MaxAttempts != 3 {
		t.Errorf("ReadLocal() = %+v, want what was set", l)
	}
}

// A manifest lists all variables, and leaves some of them empty.
func TestLocalTakesNothingForUnset(t *testing.T) {
	environ(t, new(Local), map[string]string{"KBNT_DATA": "", "KBNT_SWEEP": "", "KBNT_QUOTAS": "", "KBNT_GONE": "", "KBNT_KAFKA_BROKERS": "", "KAFKA_BROKERS": "kafka:9092"})
	l, err := ReadLocal()
	if err != nil || l.Data != ".kbnt" || l.Sweep != 2*time.Second || !slices.Equal(l.KafkaBrokers, Brokers{"kafka:9092"}) {
		t.Errorf("ReadLocal() with variables set to nothing = %+v, %v, want the defaults, and the bare name where ours is empty", l, err)
	}
}

func TestLocalOursWinsOverTheBareName(t *testing.T) {
	environ(t, new(Local), map[string]string{"KAFKA_BROKERS": "other:1", "KBNT_KAFKA_BROKERS": "ours:2"})
	if l, err := ReadLocal(); err != nil || !slices.Equal(l.KafkaBrokers, Brokers{"ours:2"}) {
		t.Errorf("ReadLocal().KafkaBrokers = %v, %v, want ours:2", l.KafkaBrokers, err)
	}
}

func TestLocalMistakes(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    map[string]string
		want   []string // "variable: part of what is wanted", in order
	}{
		"every mistake at once": {
			"an operator corrects everything in one go",
			map[string]string{"KBNT_ADDR": "0.0.0.0:80", "KBNT_SPEED": "fast", "KBNT_DEADLINE": "5", "KBNT_LOG_LEVEL": "loud", "KBNT_QUOTA_CORES": "1.5"},
			[]string{"KBNT_ADDR: loopback", "KBNT_SPEED: a number, 0 to 1000000", "KBNT_QUOTA_CORES: a whole number", "KBNT_DEADLINE: with its unit", "KBNT_LOG_LEVEL: DEBUG"},
		},
		"out of range": {
			"a number that would work but do harm is refused",
			map[string]string{"KBNT_MAX_ATTEMPTS": "0", "KBNT_DEADLINE": "11m", "KBNT_SPEED": "NaN", "KBNT_POLL": "-1s"},
			[]string{"KBNT_SPEED: 0 to 1000000", "KBNT_DEADLINE: 1s to 10m", "KBNT_MAX_ATTEMPTS: 1 to 30", "KBNT_POLL: 1ms to 10s"},
		},
		"one address twice": {
			"two listeners cannot share a port",
			map[string]string{"KBNT_NOTIFY_ADDR": ":8080"},
			[]string{"KBNT_NOTIFY_ADDR: another address than that of KBNT_ADDR"},
		},
		"patience that never ends": {
			"waiting has to end before the delivery does",
			map[string]string{"KBNT_PATIENCE": "20s"},
			[]string{"KBNT_PATIENCE: less than KBNT_DELIVERY_TIME, which is 20s"},
		},
		"a contradiction of something wrong": {
			"what a wrong value contradicts is not known yet",
			map[string]string{"KBNT_DELIVERY_TIME": "soon"},
			[]string{"KBNT_DELIVERY_TIME: a duration"},
		},
		"a name nobody reads": {
			"a mistyped name must not silently mean the default",
			map[string]string{"KBNT_ADRR": ":0"},
			[]string{"KBNT_ADRR: exists"},
		},
		"the bare name": {
			"the message names the variable that was set",
			map[string]string{"KAFKA_BROKERS": "kafka"},
			[]string{`KAFKA_BROKERS: "kafka" is none`},
		},
		"the name in front of it": {
			"the message names the variable that was set",
			map[string]string{"KBNT_KAFKA_BROKERS": "kafka:0", "KAFKA_BROKERS": "kafka:9092"},
			[]string{`KBNT_KAFKA_BROKERS: "kafka:0" is none`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			environ(t, new(Local), c.set)
			l, err := ReadLocal()
			got := mistakes(t, err)
			if len(got) != len(c.want) {
				t.Fatalf("%v: got %d mistakes, want %d (%s):\n%v", c.set, len(got), len(c.want), c.reason, err)
			}
			for i, m := range got {
				variable, part, _ := strings.Cut(c.want[i], ": ")
				if m.Variable != variable || !strings.Contains(m.Want, part) || m.Value != c.set[variable] && m.with == "" {
					t.Errorf("%v: mistake %d is %v, want %s with %q and the value %q (%s)", c.set, i, m, variable, part, c.set[variable], c.reason)
				}
			}
			if l.Addr != "" {
				t.Errorf("%v: got %+v with the error, want nothing to go on with", c.set, l)
			}
		})
	}
}

func TestLocalPortZeroMayBeTakenTwice(t *testing.T) {
	environ(t, new(Local), map[string]string{"KBNT_ADDR": ":0", "KBNT_NOTIFY_ADDR": ":0"})
	if _, err := ReadLocal(); err != nil {
		t.Errorf("two listeners on any free port: %v, want no mistake", err)
	}
}

func TestLocalKafkaAddrIsFreeWhenKafkaIsElsewhere(t *testing.T) {
	environ(t, new(Local), map[string]string{"KAFKA_BROKERS": "localhost:9092", "KBNT_SINKS_ADDR": ":9092"})
	if _, err := ReadLocal(); err != nil {
		t.Errorf("the address of an embedded Kafka that is not started: %v, want no mistake", err)
	}
}

func TestMistakeReadsAsASentence(t *testing.T) {
	environ(t, new(Local), map[string]string{"KBNT_ADDR": "0.0.0.0:8080"})
	_, err := ReadLocal()
	const want = `KBNT_ADDR="0.0.0.0:8080": want a loopback address such as 127.0.0.1:8080 (port 0: any), because nobody is authenticated on a laptop`
	if m, ok := errors.AsType[*Mistake](err); !ok || m.Error() != want || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
