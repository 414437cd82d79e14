use std::net::IpAddr;

use fairban_types::Service;

use super::{Device, Person, Rhythm};
use crate::address::{Net24, Place, host};
use crate::chance::{Chance, DAY, HOUR};
use crate::scene::{Scene, Shared};

/// Everyone, at their usual places.
pub(super) fn everyone(scene: &mut Scene) -> Vec<Person> {
    let mut people = Vec::new();
    let pools: Vec<Net24> = (0..4).map(|_| scene.book.net24()).collect();
    scene.pools = pools.clone();
    scene.fixed_pools = (0..2).map(|_| scene.book.net24()).collect();
    carriers(scene, &mut people);
    homes(scene, &pools, &mut people);
    offices(scene, &mut people);
    webmails(scene, &mut people);
    let steady = people.iter().filter(|person| !matches!(person.class, "home_daily" | "home_v6_moving"));
    scene.steady = steady.map(|person| person.devices[0].mailbox).collect();
    travellers(scene, &pools, &mut people);
    newcomers(scene, &pools, &mut people);
    people
}

fn service(chance: &mut Chance) -> Service {
    *chance.pick(&[Service::Imap, Service::Imap, Service::Imap, Service::Imap, Service::Pop3, Service::Submission])
}

/// A person whose devices are added one by one.
struct Outfit<'a> {
    scene: &'a Scene,
    person: Person,
}

impl<'a> Outfit<'a> {
    fn new(scene: &'a Scene, class: &'static str, number: usize, chance: &mut Chance) -> Self {
        let clumsy = *chance.pick(&[0.0, 0.002, 0.005, 0.01, 0.03]);
        let name = format!("{class}-{number}");
        Outfit { scene, person: Person { name, class, devices: Vec::new(), clumsy, forgotten: Vec::new() } }
    }

    fn device(&mut self, kind: &str, mailbox: usize, service: Service, rhythm: Rhythm, place: Place, short: bool) {
        let name = format!("{kind}{}", self.person.devices.len() + 1);
        let (from, to) = (self.scene.start, self.scene.end);
        self.person.devices.push(Device {
            name,
            mailbox,
            service,
            rhythm,
            place,
            short,
            from,
            to,
            stale: None,
            also: Vec::new(),
            unsure_at: None,
        });
    }
}

/// Carriers whose phones share a few addresses, about sixty mailboxes each.
fn carriers(scene: &mut Scene, people: &mut Vec<Person>) {
    for carrier in 0..2 {
        let mut chance = scene.chance("carrier", carrier);
        let mut addresses: Vec<IpAddr> = Vec::new();
        let (nets, each) = if scene.hard { (chance.count(1, 2), chance.count(2, 4)) } else { (1, 2) };
        for _ in 0..nets {
            let net = scene.book.net24();
            let first = chance.number(1, 200) as u8;
            addresses.extend((0..each).map(|next| host(net, first + next as u8)));
        }
        let site = chance.count(0, scene.sites.len() - 1);
        let mut members = Vec::new();
        for number in 0..scene.scaled(60) {
            // Half of them are customers of one site, the rest of any.
            let site = if chance.happens(0.5) { site } else { chance.count(0, scene.sites.len() - 1) };
            let mailbox = scene.open_mailbox(site, &mut chance);
            members.push(mailbox);
            let place = Place::Carrier { pool: addresses.clone(), device: chance.bits() };
            let minutes = *chance.pick(&[60, 90, 120, 180]);
            let short = chance.happens(0.15);
            let mut outfit = Outfit::new(scene, "carrier", carrier * 1000 + number, &mut chance);
            outfit.device("phone", mailbox, Service::Imap, Rhythm::Phone { minutes }, place.clone(), short);
            if chance.happens(0.4) {
                outfit.device("tablet", mailbox, service(&mut chance), Rhythm::Home { per_day: 4 }, place, short);
            }
            people.push(outfit.person);
        }
        scene.carriers.push(Shared { site, addresses, members });
    }
}

/// Homes of every kind: fixed, daily changing and IPv6 addresses, one to five mailboxes, one to seven devices each.
fn homes(scene: &mut Scene, pools: &[Net24], people: &mut Vec<Person>) {
    for number in 0..scene.scaled(110) {
        let mut chance = scene.chance("home", number);
        let site = chance.count(0, scene.sites.len() - 1);
        let net56 = scene.book.net48() | chance.bits() & 0xff00;
        let fixed = host(*chance.pick(&scene.fixed_pools), (number % 250 + 2) as u8);
        let home = Home { number, net56, fixed, pools };
        let lodgers = *chance.pick(&[1, 1, 1, 2, 2, 3, 5]);
        let family = scene.open_mailbox(site, &mut chance);
        for lodger in 0..lodgers {
            let mailbox = scene.open_mailbox(site, &mut chance);
            let second = chance.happens(0.15).then(|| scene.open_mailbox((site + 1) % scene.sites.len(), &mut chance));
            let mut outfit = Outfit::new(scene, home.class(), number * 10 + lodger, &mut chance);
            let devices = if lodgers == 1 && chance.happens(0.12) { 7 } else { chance.count(1, 3) };
            home.furnish(&mut outfit, mailbox, devices, &mut chance);
            let rhythm = Rhythm::Home { per_day: 2 };
            if lodgers > 1 {
                outfit.device("family", family, Service::Imap, rhythm, home.place(&mut chance), false);
            }
            if let Some(second) = second {
                outfit.device("second", second, Service::Imap, rhythm, home.place(&mut chance), false);
            }
            people.push(outfit.person);
        }
    }
}

struct Home<'a> {
    number: usize,
    net56: u64,
    fixed: IpAddr,
    pools: &'a [Net24],
}

impl Home<'_> {
    fn class(&self) -> &'static str {
        ["home", "home_daily", "home_v6", "home_v6_moving"][self.number % 4]
    }

    fn place(&self, chance: &mut Chance) -> Place {
        match self.number % 4 {
            0 => Place::Fixed(self.fixed),
            1 => Place::Daily { pool: self.pools.to_vec(), customer: self.number as u64 },
            kind => Place::V6 { net56: self.net56, moving: kind == 3, device: chance.bits() },
        }
    }

    /// Phones, most of which leave the house by day, and laptops.
    fn furnish(&self, outfit: &mut Outfit<'_>, mailbox: usize, devices: usize, chance: &mut Chance) {
        let short = chance.happens(0.2);
        let pool = chance.pick(&outfit.scene.carriers).addresses.clone();
        for index in 0..devices {
            let at_home = self.place(chance);
            if index % 2 == 1 {
                let rhythm = Rhythm::Home { per_day: chance.count(2, 6) };
                // Some give the short name on one device and the full address on another.
                let short = short != chance.happens(0.2);
                outfit.device("laptop", mailbox, service(chance), rhythm, at_home, short);
                continue;
            }
            let rhythm = Rhythm::Phone { minutes: *chance.pick(&[60, 90, 120, 240]) };
            let away = Place::Carrier { pool: pool.clone(), device: chance.bits() };
            let place = if chance.happens(0.6) {
                Place::Commute { home: Box::new(at_home), away: Box::new(away) }
            } else {
                at_home
            };
            outfit.device("phone", mailbox, Service::Imap, rhythm, place, short);
        }
    }
}

/// Offices of five to sixty mailboxes behind one address.
fn offices(scene: &mut Scene, people: &mut Vec<Person>) {
    for office in 0..scene.scaled(8) {
        let mut chance = scene.chance("office", office);
        let address = scene.book.address();
        let site = office % scene.sites.len();
        let mut members = Vec::new();
        for number in 0..*chance.pick(&[5, 8, 12, 20, 35, 60]) {
            let mailbox = scene.open_mailbox(site, &mut chance);
            members.push(mailbox);
            let short = chance.happens(0.2);
            let carrier = chance.pick(&scene.carriers).addresses.clone();
            let mut outfit = Outfit::new(scene, "office", office * 100 + number, &mut chance);
            let (desk, place) = (Rhythm::Desk { per_day: chance.count(3, 8) }, Place::Fixed(address));
            outfit.device("pc", mailbox, service(&mut chance), desk, place.clone(), short);
            if chance.happens(0.5) {
                let home = Place::Carrier { pool: carrier, device: chance.bits() };
                let place = Place::Commute { home: Box::new(home), away: Box::new(place) };
                let minutes = *chance.pick(&[60, 120, 240]);
                outfit.device("phone", mailbox, Service::Imap, Rhythm::Phone { minutes }, place, short);
            }
            people.push(outfit.person);
        }
        scene.offices.push(Shared { site, addresses: vec![address], members });
    }
}

/// A webmail server that signs in for everyone from its own address.
fn webmails(scene: &mut Scene, people: &mut Vec<Person>) {
    let mut chance = scene.chance("webmail", 0);
    let address = scene.book.address();
    let mut members = Vec::new();
    let site = chance.count(0, scene.sites.len() - 1);
    for number in 0..scene.scaled(50) {
        let mailbox = scene.open_mailbox(site, &mut chance);
        members.push(mailbox);
        let mut outfit = Outfit::new(scene, "webmail", number, &mut chance);
        let rhythm = Rhythm::Web { visits: chance.count(1, 4) };
        outfit.person.clumsy /= 3.0;
        outfit.device("browser", mailbox, Service::Imap, rhythm, Place::Fixed(address), false);
        people.push(outfit.person);
    }
    scene.webmails.push(Shared { site, addresses: vec![address], members });
}

/// People who are in a hotel for some days, several of them in the same one.
fn travellers(scene: &mut Scene, pools: &[Net24], people: &mut Vec<Person>) {
    for hotel in 0..scene.scaled(5) {
        let mut chance = scene.chance("hotel", hotel);
        let address = scene.book.address();
        let mut members = Vec::new();
        let site = chance.count(0, scene.sites.len() - 1);
        for guest in 0..chance.count(3, 8) {
            let mailbox = scene.open_mailbox(site, &mut chance);
            members.push(mailbox);
            let last = if hotel < 2 { scene.last_arrival() } else { scene.end };
            let from = chance.moment(scene.start, last);
            let to = from + chance.number(10, 72) * HOUR;
            let home = host(*chance.pick(pools), chance.number(2, 250) as u8);
            let mut outfit = Outfit::new(scene, "traveller", hotel * 100 + guest, &mut chance);
            outfit.person.clumsy = 0.06;
            for kind in ["phone", "laptop"] {
                let place =
                    Place::Trip { home: Box::new(Place::Fixed(home)), away: Box::new(Place::Fixed(address)), from, to };
                let rhythm = if kind == "phone" { Rhythm::Phone { minutes: 120 } } else { Rhythm::Home { per_day: 4 } };
                outfit.device(kind, mailbox, Service::Imap, rhythm, place, false);
            }
            // The laptop is set up by hand for the hotel's network.
            outfit.person.devices[1].unsure_at = Some(from);
            people.push(outfit.person);
        }
        scene.hotels.push(Shared { site, addresses: vec![address], members });
    }
}

/// People whose first sign-in ever falls into the log, most of them with a slip or two before it.
fn newcomers(scene: &mut Scene, pools: &[Net24], people: &mut Vec<Person>) {
    for number in 0..scene.scaled(24) {
        let mut chance = scene.chance("newcomer", number);
        let site = chance.count(0, scene.sites.len() - 1);
        let mailbox = scene.open_mailbox(site, &mut chance);
        let last = if number % 2 == 1 { scene.last_arrival() } else { scene.end - DAY / 2 };
        let from = chance.moment(scene.start, last);
        // In an office or behind a carrier's NAT, or at a home of their own.
        let place = match number % 4 {
            0 => Place::Fixed(host(*chance.pick(pools), chance.number(2, 250) as u8)),
            3 => Place::Fixed(scene.offices[number % scene.offices.len()].addresses[0]),
            1 => Place::Carrier { pool: chance.pick(&scene.carriers).addresses.clone(), device: chance.bits() },
            _ => Place::V6 { net56: scene.book.net48(), moving: false, device: chance.bits() },
        };
        let mut outfit = Outfit::new(scene, "newcomer", number, &mut chance);
        outfit.person.clumsy = 0.04;
        outfit.device("laptop", mailbox, Service::Imap, Rhythm::Home { per_day: 3 }, place.clone(), false);
        outfit.device("phone", mailbox, Service::Imap, Rhythm::Phone { minutes: 120 }, place, false);
        for device in &mut outfit.person.devices {
            device.from = from;
            device.unsure_at = Some(from);
        }
        people.push(outfit.person);
    }
}
