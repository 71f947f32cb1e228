// Tally makes the output of go test -json readable and counts the tests.
//
//	go test -json ./... 2>&1 | tally results    show it; append each result to the file
//	tally -sum results                          print "N passed, N failed, N skipped"
//
// A test that ran several times, as under -race, counts once: as failed if it
// ever failed, as skipped if it never ran. A package that fails without a failing
// test, because it does not build, counts as one failed test.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is what tally needs of a line; go doc cmd/test2json has the rest.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "-sum":
		err = sum(args[1])
	case len(args) == 1:
		err = follow(os.Stdin, os.Stdout, args[0])
	default:
		err = fmt.Errorf("usage: tally results | tally -sum results")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

func follow(in io.Reader, out io.Writer, file string) error {
	results, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer results.Close()
	said := map[[2]string]*strings.Builder{} // what a running test printed so far
	broken := map[string]bool{}              // packages with a failed test
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line == "" && err != nil {
			if err == io.EOF {
				return results.Close()
			}
			return err
		}
		var e event
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprint(out, line) // of make, vet, the compiler
			continue
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "output":
			if said[key] == nil {
				said[key] = new(strings.Builder)
			}
			said[key].WriteString(e.Output)
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass", "fail", "skip":
			show := e.Action == "fail" || e.Action == "skip" && e.Test != ""
			if b := said[key]; b != nil && show {
				fmt.Fprint(out, b.String())
			}
			delete(said, key)
			if e.Test == "" && e.Action == "pass" {
				fmt.Fprintf(out, "ok  \t%s\t%.2fs\n", e.Package, e.Elapsed)
			}
			if e.Test != "" || e.Action == "fail" && !broken[e.Package] {
				fmt.Fprintf(results, "%s\t%s\t%s\n", e.Action, e.Package, e.Test)
			}
			if e.Action == "fail" {
				broken[e.Package] = true
			}
		}
	}
}

func sum(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	weight := map[string]int{"skip": 1, "pass": 2, "fail": 3}
	worst := map[string]string{}
	for line := range strings.Lines(string(data)) {
		result, test, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if weight[result] > weight[worst[test]] {
			worst[test] = result
		}
	}
	count := map[string]int{}
	for _, result := range worst {
		count[result]++
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
	return nil
}
