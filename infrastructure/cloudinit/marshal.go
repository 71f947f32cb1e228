package cloudinit

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// marshal writes a value of this package as JSON that every reader of YAML takes.
// These refuse some characters that JSON may carry as they are (0x7f, 0x80 to 0x9f,
// U+FFFE), and drop the whole document for one of them. So all but printable ASCII
// is escaped; only what is beyond U+FFFF stays, because the two languages escape it
// differently.
func marshal(v any) []byte {
	wide, _ := json.MarshalIndent(v, "", "  ") // plain data: cannot fail
	out := make([]byte, 0, len(wide)+1)
	for len(wide) > 0 {
		r, size := utf8.DecodeRune(wide)
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			out = append(out, wide[:size]...)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		wide = wide[size:]
	}
	return append(out, '\n')
}
