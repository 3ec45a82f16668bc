import { BirdRouter } from '../kit/routers/bird.ts';
import { tellRouterStories } from './router-stories.ts';

tellRouterStories((lab) => new BirdRouter(lab.theirs.name));
