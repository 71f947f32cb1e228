// Package proof holds the platform to "exactly once in effect": events come twice,
// late, out of order or never, any process dies anywhere, and still each accepted
// request ends with one outcome, one resource or none, and one public event.
//
// It is not a model (docs/protocol.md has one), and no test of Kafka, PostgreSQL or
// a hypervisor: it runs our code with them, as processes that can be killed. All of
// it is tests, under the build tag integration; it needs PostgreSQL installed.
//
// # What runs
//
// A chain is four processes, made of the test binary itself: intake, provision,
// notify, and eventing/local with the product's manifests and the embedded Kafka.
// Each chain has a schema of PostgreSQL, in which also the world of the simulated
// hypervisor lives. A process inherits its socket and leaves it to the next, as a
// Service does in a cluster: callers wait while nobody listens.
//
// The functions are wired as in the image, but for a gate around every port with
// effects, which gives a name to every point that is passed: "provision Ensure volume/before",
// "notify acknowledge terminal, finish/after". A name says what a call does or a
// transaction is about to commit, not how often it was made, so it is the same in
// every run. A gate can be told to end its process at one point of one request.
//
// # What is tried
//
//   - TestKillAtEveryPoint records the points of every scenario, holds them against
//     testdata/points.txt, and ends a process at each, before and after every commit,
//     publication, driver call and answer, and before and after each record and
//     delivery of Kafka. A new step of the flow, or one that commits something else,
//     fails until the file is rewritten.
//   - TestEveryEffectHasPoints calls all methods of the ports: one that is new has to
//     have points, or to be listed as read only.
//   - TestAnswerLost loses answers of the hypervisor to calls that land later.
//   - TestRandom asks for all nine types, with faults and cancels, while functions,
//     Kafka and PostgreSQL die; every event is delivered at least twice, a tenth late.
//
// At the end each time: requests terminal; one event id with one content, which is
// the outcome; the things on the hypervisor are those of the live resources, no more
// and no less; usage is their sum; nothing is claimed for what is gone; a completed
// request shows all 17 steps, any other those it came to; nothing waits to be sent.
//
// # Commands
//
//	make integration                       all, with 120 random requests and 10 deaths
//	go test -tags integration ./integration/proof -run Kill -v
//	  -only "stop machine: provision"      only these lines of testdata/points.txt
//	  -twice                               events come twice and late while they die
//	  -chains 6                            more beside each other, default 3
//	  -update                              rewrite testdata/points.txt
//	  -kafka                               Apache Kafka, one for each chain
//	go test -tags integration ./integration/proof -run Random -v -timeout 30m
//	  -requests 1000 -kills 50             the long run
//	  -seed 42                             what is asked, which fault, and who dies, as before
//	  -kafka                               Apache Kafka (KAFKA_BROKERS, or one of its own)
//
// A seed fixes what is asked of whom, the faults, which events are late, and who
// dies after how many requests. It does not fix what the processes were doing at
// that moment, nor which of the hypervisor's answers are lost: a failure that
// hangs on that takes several runs of its seed to come back.
//
// # Limits
//
// A process dies before or after a commit, never inside of PostgreSQL's own; that
// an answer to a commit is lost is tried by ending PostgreSQL at random. One
// process of each function: that several may run at once is tried by deliveries
// that come twice at the same time. Time limits are seconds instead of minutes.
package proof
