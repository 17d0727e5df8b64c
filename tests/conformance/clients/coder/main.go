// Go's coder/websocket. Arguments: HOST:PORT, user.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type frame struct {
	Type      string `json:"type"`
	Epoch     string `json:"epoch"`
	Offset    int64  `json:"offset"`
	Recovered bool   `json:"recovered"`
	Title     string `json:"title"`
}

func open(ctx context.Context, address, login string) *websocket.Conn {
	socket, _, err := websocket.Dial(ctx, "ws://"+address+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := socket.Write(ctx, websocket.MessageText, []byte(login)); err != nil {
		log.Fatal(err)
	}
	return socket
}

func expect(ctx context.Context, socket *websocket.Conn, kind string) frame {
	for {
		var got frame
		if err := wsjson.Read(ctx, socket, &got); err != nil {
			log.Fatalf("waiting for %s: %v", kind, err)
		}
		if got.Type == kind {
			return got
		}
	}
}

func main() {
	address, user := os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	socket := open(ctx, address, fmt.Sprintf(`{"type":"login","user_id":%s}`, user))
	first := expect(ctx, socket, "recommendation")
	if err := socket.Close(websocket.StatusNormalClosure, ""); err != nil {
		log.Fatal("not closed as it should be: ", err)
	}
	message := fmt.Sprintf(`{"user_id":%s,"title":"missed"}`, user)
	sent, err := http.Post("http://"+address+"/v1/notifications", "application/json", strings.NewReader(message))
	if err != nil || sent.StatusCode != http.StatusAccepted {
		log.Fatal("not accepted: ", sent, err)
	}
	login := `{"type":"login","user_id":%s,"resume":{"epoch":%q,"offset":%d}}`
	socket = open(ctx, address, fmt.Sprintf(login, user, first.Epoch, first.Offset))
	if !expect(ctx, socket, "welcome").Recovered {
		log.Fatal("not recovered")
	}
	if title := expect(ctx, socket, "notification").Title; title != "missed" {
		log.Fatal(title)
	}
}
