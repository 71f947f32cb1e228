package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	type holder struct {
		Password Secret
		All      map[string]Secret
	}
	h := holder{value, map[string]Secret{"a": value}}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s", "%T %[1]v"} {
		shown[verb] = fmt.Sprintf(verb, Secret(value))
		shown["struct "+verb] = fmt.Sprintf(verb, h)
		shown["pointer "+verb] = fmt.Sprintf(verb, &h)
	}
	shown["concatenated"] = fmt.Sprint("a", Secret(value))
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("start", "password", Secret(value), "config", h)
		shown[name] = b.String()
	}
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	shown["json"] = string(data)

	for how, text := range shown {
		if strings.Contains(text, value) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", value)) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
		if !strings.Contains(text, mask) && !strings.Contains(how, "T") {
			t.Errorf("%s shows %q, want %s in it", how, text, mask)
		}
	}
	if got := string(Secret(value)); got != value {
		t.Errorf("string(Secret(%q)) = %q, want it revealed", value, got)
	}
}
