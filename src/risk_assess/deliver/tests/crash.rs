//! The program dies at every step there is, before and after it is on disk; the next one finishes.

use super::world::*;
use crate::model::downstream::{Load, Outbox as _, ParcelStage, Standing};

#[tokio::test(start_paused = true)]
async fn wherever_it_dies_every_row_arrives_and_the_ledger_knows_it() {
    let mut deaths = 0;
    for done in [false, true] {
        for steps in 0.. {
            let world = World::new(2);
            world.post(&[Load::User(user(1)), line(2, &[]), Load::User(user(2))]);
            world.script(&[Turn::Answers(500), Turn::Lost]);
            world.light(Fuse { steps, done });
            if world.run(patient(4)).await.is_some() {
                assert!(steps > 10, "the scenario has more steps than {steps}");
                break;
            }
            deaths += 1;
            world.restart();
            world.script(&[]);
            let run = world.run(patient(4)).await.unwrap();
            assert_eq!(run.waiting(), 0);
            for parcel in world.state().parcels().unwrap() {
                let ParcelStage::Settled { standing, .. } = parcel.stage else {
                    panic!("{parcel:?}")
                };
                assert_eq!(standing, Standing::Delivered, "died at {steps}, done: {done}");
            }
            for id in [1, 2] {
                assert_eq!(
                    world.standing(id),
                    Standing::Delivered,
                    "died at {steps}, done: {done}"
                );
            }
            let arrived = |email: &str| {
                let requests = world.facts().requests.clone();
                let good = requests.iter().filter(|request| request.status == Some(201));
                good.filter(|request| request.rows[0].values().any(|value| value == email))
                    .count()
            };
            for email in ["ann1@example.com", "line2@example.com", "ann2@example.com"] {
                assert!(
                    (1..=2).contains(&arrived(email)),
                    "{email}, died at {steps}, done: {done}"
                );
            }
        }
    }
    assert!(deaths > 20, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn a_death_while_it_waits_for_an_answer_is_a_repetition() {
    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.script(&[Turn::Dies]);
    assert!(world.run(patient(4)).await.is_none());
    world.restart();
    let kept = world.state().unsettled().unwrap();
    assert_eq!((kept[0].attempts, &kept[0].stage), (1, &ParcelStage::Sending));
    // A change that comes now is not taken for what was under way.
    world.rename(1);
    assert_eq!(world.state().unsettled().unwrap().len(), 2);
    let run = world.run(patient(4)).await.unwrap();
    assert_eq!(run.waiting(), 0);
    assert_eq!(world.standing(1), Standing::Delivered);
    assert_eq!(world.statuses(), [None, Some(201), Some(201)]);
}
