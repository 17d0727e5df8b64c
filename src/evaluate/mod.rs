//! How good a recommender is: splits and ranking metrics over ranked lists.
