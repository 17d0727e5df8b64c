// Go's gorilla/websocket. Arguments: HOST:PORT, user.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

type frame struct {
	Type      string `json:"type"`
	Epoch     string `json:"epoch"`
	Offset    int64  `json:"offset"`
	Recovered bool   `json:"recovered"`
	Title     string `json:"title"`
}

func open(address, login string) *websocket.Conn {
	socket, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := socket.WriteMessage(websocket.TextMessage, []byte(login)); err != nil {
		log.Fatal(err)
	}
	return socket
}

func expect(socket *websocket.Conn, kind string) frame {
	_ = socket.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		var got frame
		if err := socket.ReadJSON(&got); err != nil {
			log.Fatalf("waiting for %s: %v", kind, err)
		}
		if got.Type == kind {
			return got
		}
	}
}

func main() {
	address, user := os.Args[1], os.Args[2]
	socket := open(address, fmt.Sprintf(`{"type":"login","user_id":%s}`, user))
	first := expect(socket, "recommendation")
	_ = socket.Close()
	message := fmt.Sprintf(`{"user_id":%s,"title":"missed"}`, user)
	sent, err := http.Post("http://"+address+"/v1/notifications", "application/json", strings.NewReader(message))
	if err != nil || sent.StatusCode != http.StatusAccepted {
		log.Fatal("not accepted: ", sent, err)
	}
	login := `{"type":"login","user_id":%s,"resume":{"epoch":%q,"offset":%d}}`
	socket = open(address, fmt.Sprintf(login, user, first.Epoch, first.Offset))
	if !expect(socket, "welcome").Recovered {
		log.Fatal("not recovered")
	}
	if title := expect(socket, "notification").Title; title != "missed" {
		log.Fatal(title)
	}
}
