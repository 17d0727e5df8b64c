//! Simulated devices: a browser with one page and a service worker, which share what was shown. A page logs in, acknowledges or
//! not, is visible or hidden; its connection stalls or dies with the frames in it.

use std::collections::{BTreeMap, BTreeSet};

use tidings::base::{ConnectionId, NotificationId};
use tidings::decide::Input;
use tidings::deliver::{Change, Frame, Inbound, Login, Resume, Standing};
use uuid::Uuid;

use crate::faults::Fault;
use crate::setting::ZONES;
use crate::shadow::Property;
use crate::sim::{EPOCH, Sim};

/// Devices of one user.
pub const DEVICES: usize = 2;

/// One open connection of a device.
#[derive(Clone, Debug)]
pub struct Page {
    pub connection: ConnectionId,
    pub server: usize,
    pub instance: u64,
    pub visible: bool,
    /// Frames on their way while the connection stands still.
    stalled: Option<Vec<Frame>>,
    pub welcomed: bool,
    /// Everything after this offset that is live must have come.
    pub complete_after: Option<i64>,
    /// Position at the login.
    resumed: Option<i64>,
    /// A minimal client: what it missed comes after the answer to its login.
    is_bare: bool,
    /// Largest offset received live; frames that were missed come before.
    last_offset: i64,
    pub received: BTreeMap<NotificationId, i64>,
    pub withdrawn: BTreeSet<NotificationId>,
    /// How messages stand of which the page was told, and that it did not change itself since.
    pub standing: BTreeMap<NotificationId, Standing>,
    /// Unread and unseen, as last told.
    pub counts: (i64, i64),
    /// Hidden pages keep what came, to show it when somebody looks.
    kept: Vec<NotificationId>,
}

impl Page {
    pub fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }
}

#[derive(Clone, Debug)]
pub struct Device {
    pub user: usize,
    pub page: Option<Page>,
    /// Last offset received.
    pub position: Option<i64>,
    /// Shown by page or service worker, each once.
    pub shown: BTreeSet<NotificationId>,
}

impl Device {
    pub fn new(user: usize) -> Self {
        Self { user, page: None, position: None, shown: BTreeSet::new() }
    }
}

/// The text after a name in a JSON frame.
fn field<'a>(frame: &'a str, name: &str) -> Option<&'a str> {
    let start = frame.find(name)? + name.len();
    frame.get(start..)
}

fn number(frame: &str, name: &str) -> Option<i64> {
    let text = field(frame, name)?;
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn id(frame: &str) -> Option<NotificationId> {
    let text = field(frame, "\"notification_id\":\"")?;
    Uuid::parse_str(text.get(..36)?).ok().map(NotificationId)
}

impl Sim {
    pub fn is_page_gone(&self, connection: ConnectionId) -> bool {
        !self.connections.contains_key(&connection.0)
    }

    /// Opens a page of the device; a page that is open goes first.
    pub fn login(&mut self, device: usize, resumes: bool, bare: bool, zone: Option<u8>) {
        self.close(device, true);
        let Some(server) = self.holder() else { return };
        if self.merging.is_some_and(|merging| merging.alias == self.devices[device].user) {
            return; // Its token speaks for nobody at the moment.
        }
        let connection = self.connection();
        let position = self.devices[device].position.filter(|_| resumes && !bare);
        let login = Login {
            device: (!bare).then(|| format!("device{device}")),
            time_zone: zone.filter(|_| !bare).map(|zone| ZONES[zone as usize % ZONES.len()].to_owned()),
            resume: position.map(|offset| Resume { epoch: EPOCH.to_owned(), offset }),
            ..Login::default()
        };
        let user = self.devices[device].user;
        let instance = self.get_or_start(server, user);
        self.connections.insert(connection.0, device);
        self.devices[device].page = Some(Page {
            connection,
            server,
            instance,
            visible: true,
            stalled: None,
            welcomed: false,
            complete_after: None,
            resumed: position,
            is_bare: bare,
            last_offset: 0,
            received: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            standing: BTreeMap::new(),
            counts: (0, 0),
            kept: Vec::new(),
        });
        self.connect(server, instance, connection, Box::new(login));
    }

    /// Closes the device's page. `told`: the server learns of it now, else with the actor's next tick.
    pub fn close(&mut self, device: usize, told: bool) {
        let Some(page) = self.devices[device].page.take() else { return };
        self.connections.remove(&page.connection.0);
        if told {
            self.disconnected(page.server, page.instance, page.connection);
        } else if let Some(actor) = self.actor(page.server, page.instance) {
            actor.dead.insert(page.connection);
        }
    }

    /// The server closes a connection.
    pub fn hang_up(&mut self, connection: ConnectionId) {
        if let Some(device) = self.connections.remove(&connection.0) {
            self.devices[device].page = None;
        }
    }

    /// A server has died: its pages have no connection any more.
    pub fn lose_pages(&mut self, server: usize) {
        for device in 0..self.devices.len() {
            let page = self.devices[device].page.take_if(|page| page.server == server);
            if let Some(page) = page {
                self.connections.remove(&page.connection.0);
            }
        }
    }

    /// A frame from the server to a connection.
    pub fn send(&mut self, server: usize, instance: u64, connection: ConnectionId, frame: Frame) {
        let is_open = self.actor(server, instance).is_some_and(|actor| actor.pipes.contains(&connection));
        let Some(device) = self.connections.get(&connection.0).copied() else { return };
        if !is_open || self.is_lost(device, &frame) {
            return;
        }
        let Some(page) = self.devices[device].page.as_mut() else { return };
        match &mut page.stalled {
            Some(frames) => frames.push(frame),
            None => self.receive(device, &frame),
        }
    }

    /// Whether a planted fault loses this frame.
    fn is_lost(&self, device: usize, frame: &str) -> bool {
        let others = |other: &usize| {
            self.devices[*other].page.is_some() && self.devices[*other].user == self.devices[device].user
        };
        let all: Vec<usize> = (0..self.devices.len()).filter(others).collect();
        let several = all.len() > 1;
        match self.fault {
            Some(Fault::WithdrawalSkipsADevice) => {
                several && all.last() == Some(&device) && frame.starts_with("{\"type\":\"withdraw\"")
            }
            Some(Fault::CountsSkipADevice) => {
                several && all.first() == Some(&device) && frame.starts_with("{\"type\":\"inbox\"")
            }
            _ => false,
        }
    }

    /// A connection stands still: nothing goes either way.
    pub fn stall(&mut self, device: usize) {
        if let Some(page) = self.devices[device].page.as_mut() {
            page.stalled.get_or_insert_default();
        }
    }

    /// It moves again, and what was on its way arrives.
    pub fn flow(&mut self, device: usize) {
        let page = self.devices[device].page.as_mut();
        for frame in page.and_then(|page| page.stalled.take()).unwrap_or_default() {
            self.receive(device, &frame);
        }
    }

    fn receive(&mut self, device: usize, frame: &str) {
        let Some(page) = self.devices[device].page.as_mut() else { return };
        if frame.starts_with("{\"type\":\"welcome\"") {
            let offset = number(frame, "\"offset\":").unwrap_or(0);
            let recovered = frame.contains("\"recovered\":true");
            page.welcomed = true;
            page.complete_after = Some(if recovered { page.resumed.unwrap_or(offset) } else { offset });
            if page.resumed.is_none() || !recovered {
                self.devices[device].position = Some(offset);
            }
        } else if frame.starts_with("{\"type\":\"inbox\"") {
            let count = |name| number(frame, name).unwrap_or(0);
            page.counts = (count("\"unread\":"), count("\"unseen\":"));
        } else if frame.starts_with("{\"type\":\"withdraw\"") {
            if let Some(id) = id(frame) {
                let stands = match field(frame, "\"reason\":\"").and_then(|text| text.split('"').next()) {
                    Some("read_elsewhere") => Some(Standing::Read),
                    Some("archived") => Some(Standing::Archived),
                    Some("snoozed") => Some(Standing::Snoozed),
                    _ => None,
                };
                page.standing.extend(stands.map(|standing| (id, standing)));
                page.withdrawn.insert(id);
                page.kept.retain(|kept| *kept != id);
            }
        } else if frame.starts_with("{\"type\":\"restore\"") {
            if let Some(id) = id(frame) {
                let is_read = frame.contains("\"reason\":\"unarchived\"");
                page.standing.insert(id, if is_read { Standing::Read } else { Standing::Unread });
                page.withdrawn.remove(&id);
            }
        } else if frame.starts_with("{\"type\":\"recommendation\"")
            || frame.starts_with("{\"type\":\"notification\"")
        {
            self.receive_message(device, frame);
        }
    }

    fn receive_message(&mut self, device: usize, frame: &str) {
        let Some(id) = id(frame) else { return };
        let silent = frame.contains("\"channel\":\"inbox\"");
        let is_answer = frame.contains("\"trigger\":\"login\"");
        let Some(page) = self.devices[device].page.as_mut() else { return };
        if let Some(offset) = number(frame, "\"offset\":") {
            // The answer to a login may be the one of a minute ago, and what a minimal client missed comes after it.
            let is_known = page.received.insert(id, offset).is_some();
            let is_caught_up = page.is_bare && page.complete_after.is_none_or(|after| offset <= after);
            let in_order = offset > page.last_offset || is_answer || is_known || is_caught_up;
            let last = page.last_offset;
            if !is_answer {
                page.last_offset = last.max(offset);
            }
            let position = &mut self.devices[device].position;
            *position = (*position).max(Some(offset));
            if !in_order {
                let text = format!("device {device} received offset {offset} after {last}");
                self.fail(Property::Order, text);
            }
        }
        let Some(page) = self.devices[device].page.as_mut() else { return };
        if page.withdrawn.contains(&id) {
            self.fail(Property::Counts, format!("device {device} received {id} after its withdrawal"));
        } else if silent {
            self.check_silent(device, id, true);
        } else if page.visible {
            self.check_silent(device, id, false);
            self.show(device, id);
        } else {
            page.kept.push(id);
        }
    }

    fn show(&mut self, device: usize, id: NotificationId) {
        if self.devices[device].shown.insert(id) {
            if self.prints {
                println!("  {} device {device} shows {id}", self.now());
            }
            self.tally.shown += 1;
            let user = self.devices[device].user;
            self.shadow.shown(user, id);
        }
    }

    /// The service worker shows a pushed message, unless the page has.
    pub fn shown_by_push(&mut self, _user: usize, device: usize, id: NotificationId) {
        self.show(device, id);
    }

    /// A person looks at the page, or no longer.
    pub fn look(&mut self, device: usize, visible: bool) {
        let Some(page) = self.devices[device].page.as_mut().filter(|page| !page.is_stalled()) else { return };
        if !page.welcomed || page.visible == visible {
            return;
        }
        page.visible = visible;
        self.say(device, Inbound::Presence(visible));
        let Some(page) = self.devices[device].page.as_mut().filter(|_| visible) else { return };
        for id in std::mem::take(&mut page.kept) {
            let user = self.devices[device].user;
            // A page drops what has expired while nobody looked.
            if self.store.users[user]
                .messages
                .iter()
                .any(|row| row.message.notification_id == id && row.message.expires_at > self.now())
            {
                self.show(device, id);
            }
        }
    }

    /// A frame of the device's page; dropped without a connection that moves.
    pub fn say(&mut self, device: usize, inbound: Inbound) {
        let Some(page) = &self.devices[device].page else { return };
        let (server, instance, connection) = (page.server, page.instance, page.connection);
        let is_open = self.actor(server, instance).is_some_and(|actor| actor.pipes.contains(&connection));
        if !is_open || self.devices[device].page.as_ref().is_some_and(Page::is_stalled) {
            return;
        }
        if let Some(page) = self.devices[device].page.as_mut() {
            match &inbound {
                Inbound::Change(id, Change::Delete) => drop(page.withdrawn.insert(*id)),
                Inbound::Change(id, _) => drop(page.standing.remove(id)),
                Inbound::Feedback { notification_id, .. } => drop(page.standing.remove(notification_id)),
                Inbound::ReadAll(_) => page.standing.clear(),
                _ => {}
            }
        }
        self.reload_if_due(server, instance);
        self.take(server, instance, Input::Frame(connection, inbound));
    }
}
