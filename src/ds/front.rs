//! Sorting the front of a slice: the quicksort of Bentley and McIlroy ("Engineering a Sort Function", 1993), which
//! leaves parts alone that lie behind what is wanted.
//!
//! Selecting, then sorting what was selected, would do as well, but for the order of equal elements: a real server sorts
//! in this way, and shows it. What deviates from the paper: a part that was halved too unevenly too often is sorted by
//! merging, so that no input takes quadratic time or a deep stack; equals then come in another order.

use std::cmp::Ordering;

/// Sorts so that the first `wanted` elements are the smallest, in order.
pub fn sort_front<T>(items: &mut [T], wanted: usize, compare: &impl Fn(&T, &T) -> Ordering) {
    let halvings = 4 * (items.len().max(2).ilog2() as usize + 1);
    sort_part(items, wanted, compare, halvings);
}

fn sort_part<T>(
    mut items: &mut [T],
    mut wanted: usize,
    compare: &impl Fn(&T, &T) -> Ordering,
    mut patience: usize,
) {
    while items.len() >= 7 && patience > 0 {
        patience -= 1;
        let (less, greater) = partition(items, compare);
        let behind = items.len() - greater;
        let (front, back) = items.split_at_mut(behind);
        sort_part(&mut front[..less], wanted, compare, patience);
        if behind >= wanted {
            return;
        }
        (items, wanted) = (back, wanted - behind);
    }
    if items.len() < 7 {
        return insertion_sort(items, compare);
    }
    items.sort_by(compare);
}

fn insertion_sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Brings what is less than a middling element to the front and what is greater to the back; answers how many they are.
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    items.swap(0, middling(items, compare));
    // Equal elements gather at both ends: before `left`, from behind `right` on.
    let (mut left, mut low, mut high, mut right) = (1, 1, items.len() - 1, items.len() - 1);
    loop {
        while low <= high {
            match compare(&items[low], &items[0]) {
                Ordering::Greater => break,
                Ordering::Less => {}
                Ordering::Equal => {
                    items.swap(left, low);
                    left += 1;
                }
            }
            low += 1;
        }
        while low <= high {
            match compare(&items[high], &items[0]) {
                Ordering::Less => break,
                Ordering::Greater => {}
                Ordering::Equal => {
                    items.swap(high, right);
                    right -= 1;
                }
            }
            high -= 1;
        }
        if low > high {
            break;
        }
        items.swap(low, high);
        low += 1;
        high -= 1;
    }
    let (less, greater) = (low - left, right - high);
    exchange(items, 0, low, left.min(less));
    exchange(items, low, items.len(), greater.min(items.len() - 1 - right));
    (less, greater)
}

/// Exchanges so many elements from `from` on with those that end at `to`.
fn exchange<T>(items: &mut [T], from: usize, to: usize, count: usize) {
    for i in 0..count {
        items.swap(from + i, to - count + i);
    }
}

/// The place of an element that is likely to lie in the middle of the order.
fn middling<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let of_three = |a: usize, b: usize, c: usize| {
        let below = |x: usize, y: usize| compare(&items[x], &items[y]).is_lt();
        match below(a, b) {
            true if below(b, c) => b,
            true if below(a, c) => c,
            true => a,
            false if below(c, b) => b,
            false if below(a, c) => a,
            false => c,
        }
    };
    let (middle, last) = (items.len() / 2, items.len() - 1);
    match items.len() {
        ..=7 => middle,
        8..=40 => of_three(0, middle, last),
        len => {
            let d = len / 8;
            let thirds = [(0, d, 2 * d), (middle - d, middle, middle + d), (last - 2 * d, last - d, last)];
            let [a, b, c] = thirds.map(|(a, b, c)| of_three(a, b, c));
            of_three(a, b, c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_front_is_what_sorting_all_gives(
            items in prop::collection::vec(0_u16..200, 0..400), wanted in 0_usize..420, patience in 0_usize..30,
        ) {
            let mut sorted = items.clone();
            sorted.sort_unstable();
            let wanted = wanted.min(items.len());
            let (mut front, mut hasty) = (items.clone(), items);
            sort_front(&mut front, wanted, &u16::cmp);
            sort_part(&mut hasty, wanted, &u16::cmp, patience);
            prop_assert_eq!(&front[..wanted], &sorted[..wanted]);
            prop_assert_eq!(&hasty[..wanted], &sorted[..wanted]);
            front.sort_unstable();
            prop_assert_eq!(front, sorted);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn long_runs_take_no_time() {
        let rising: Vec<u32> = (0..200_000).collect();
        let pipe = rising.iter().chain(rising.iter().rev()).copied();
        for items in [pipe.collect(), vec![7; 200_000], rising.iter().rev().copied().collect::<Vec<u32>>()] {
            let mut items: Vec<u32> = items;
            let wanted = items.len();
            sort_front(&mut items, wanted, &u32::cmp);
            assert!(items.is_sorted());
        }
    }
}
