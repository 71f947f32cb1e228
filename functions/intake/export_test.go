package intake

// Decode is for the fuzz test.
func Decode(document []byte) error {
	_, err := decode(document)
	return err
}

// Routes lists "method pattern" of everything that is served.
func Routes() []string {
	var all []string
	for _, r := range routes() {
		all = append(all, r.method+" "+r.pattern)
	}
	return all
}
